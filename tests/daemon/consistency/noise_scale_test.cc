#include "daemon/consistency/noise_scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace muster::consistency {
namespace {

// Weights of the frames, oldest first, with sum 1.
std::vector<double> AgeWeights(size_t count) {
  std::vector<double> weights(count);
  double sum = 0;
  for (size_t t = 0; t < count; ++t) {
    weights[t] = std::pow(NoiseScale::kDecay, double(count - 1 - t));
    sum += weights[t];
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

TEST(NoiseScaleTest, AveragesAndTheirErrorFollowTheirDefinition) {
  const std::vector<double> squares = {4, 1, -2, 8, 5, 5, 7, 3, 9, 2, 6, 4};
  NoiseScale noise;
  EXPECT_FALSE(noise.Average().has_value());
  for (size_t count = 1; count <= squares.size(); ++count) {
    noise.Add({squares[count - 1], 10.0 * count}, false);
    const std::vector<double> weights = AgeWeights(count);
    double mean = 0;
    double trace = 0;
    double squared_weights = 0;
    for (size_t t = 0; t < count; ++t) {
      mean += weights[t] * squares[t];
      trace += weights[t] * 10 * (t + 1);
      squared_weights += weights[t] * weights[t];
    }
    EXPECT_NEAR(noise.Average()->gradient_square, mean, 1e-12);
    EXPECT_NEAR(noise.Average()->covariance_trace, trace, 1e-12);
    double variance = 0;
    for (size_t t = 0; t < count; ++t) {
      variance += weights[t] * (squares[t] - mean) * (squares[t] - mean);
    }
    variance /= 1 - squared_weights;
    if (count < 2) {
      EXPECT_FALSE(noise.GradientSquareError().has_value());
    } else {
      EXPECT_NEAR(*noise.GradientSquareError(),
                  std::sqrt(variance * squared_weights), 1e-12);
    }
  }
}

TEST(NoiseScaleTest, IsPublishedAfterEnoughFramesOnly) {
  NoiseScale noise;
  for (int frame = 1; frame <= 20; ++frame) {
    noise.Add({2, 6}, false);
    EXPECT_EQ(noise.Scale().has_value(), frame >= NoiseScale::kMinimumFrames);
  }
  EXPECT_NEAR(*noise.Scale(), 3, 1e-12);
}

// Two values in turn, mean 1, deviation s: with 39 effective frames the
// standard error is close to s/√38, so that 3 of them reach 1 at s ≈ 2.05.
TEST(NoiseScaleTest, IsPublishedAboveThreeStandardErrorsOnly) {
  for (const auto& [deviation, published] :
       std::vector<std::pair<double, bool>>{{1.8, true}, {2.3, false}}) {
    NoiseScale noise;
    for (int frame = 0; frame < 400; ++frame) {
      noise.Add({1 + (frame % 2 == 0 ? deviation : -deviation), 1}, false);
    }
    EXPECT_EQ(noise.Scale().has_value(), published) << deviation;
  }
}

TEST(NoiseScaleTest, UnitsAreNeverMixed) {
  NoiseScale noise;
  for (int frame = 0; frame < 20; ++frame) noise.Add({1, 64}, false);
  EXPECT_FALSE(noise.in_batches());
  noise.Add({1, 2}, true);
  EXPECT_TRUE(noise.in_batches());
  EXPECT_EQ(noise.Average()->covariance_trace, 2);
  EXPECT_FALSE(noise.Scale().has_value());
}

// Pure noise around 0 must not look like a gradient. If frames were Gaussian
// and the effective sample 39, the chance in each frame were P(t₃₈ > 3) =
// 0.24 %; skewness and the start cost some, so the bound is 1 %.
TEST(NoiseScaleTest, PureNoiseIsRarelyPublished) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  NoiseScale noise;
  int published = 0;
  constexpr int kFrames = 200000;
  for (int frame = 0; frame < kFrames; ++frame) {
    noise.Add({normal(random), 1}, false);
    published += noise.Scale().has_value();
  }
  EXPECT_LT(published, kFrames / 100);
  EXPECT_GT(published, 0);  // three standard errors, not thirty
}

}  // namespace
}  // namespace muster::consistency
