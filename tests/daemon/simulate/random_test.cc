#include "daemon/simulate/random.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace muster::simulate {
namespace {

// From the published reference code (Vigna's splitmix64.c, seed 1234567).
TEST(RandomTest, IsSplitMix64) {
  Random random(1234567);
  EXPECT_EQ(random.Bits(), 6457827717110365317u);
  EXPECT_EQ(random.Bits(), 3203168211198807973u);
  EXPECT_EQ(random.Bits(), 9817491932198370423u);
}

constexpr int kDraws = 200'000;

// Standard errors: 1/√n of the mean, √(2/n) of the variance, √(96/n) of the
// fourth moment; bounds are five of them.
TEST(RandomTest, GaussianHasItsMoments) {
  Random random(1);
  double moments[5] = {};
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.Gaussian();
    for (int m = 1; m <= 4; ++m) moments[m] += std::pow(x, m) / kDraws;
  }
  EXPECT_NEAR(moments[1], 0, 5 * std::sqrt(1.0 / kDraws));
  EXPECT_NEAR(moments[2], 1, 5 * std::sqrt(2.0 / kDraws));
  EXPECT_NEAR(moments[3], 0, 5 * std::sqrt(15.0 / kDraws));
  EXPECT_NEAR(moments[4], 3, 5 * std::sqrt(96.0 / kDraws));
}

// Quantiles of t(3) in units of its quartile 0.76489: 0.9 is 1.63774, 0.99 is
// 4.54070 (tables). Standard error of a quantile: √(p(1−p)/n)/density, with
// density 6√3/(π (3 + t²)²); bounds are five of them.
TEST(RandomTest, StudentT3HasItsQuantiles) {
  Random random(2);
  std::vector<double> values(kDraws);
  for (double& value : values) value = random.StudentT3();
  std::sort(values.begin(), values.end());
  const double unit = 0.6745 / 0.7649;
  for (const auto& [p, t] : std::vector<std::pair<double, double>>{
           {0.5, 0}, {0.75, 0.76489}, {0.9, 1.63774}, {0.99, 4.54070}}) {
    const double density =
        6 * std::sqrt(3.0) / (M_PI * (3 + t * t) * (3 + t * t));
    const double error = std::sqrt(p * (1 - p) / kDraws) / density;
    EXPECT_NEAR(values[static_cast<size_t>(p * kDraws)] / unit, t, 5 * error);
  }
}

TEST(RandomTest, UniformIsNeverZero) {
  Random random(3);
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.Uniform();
    ASSERT_GT(x, 0);
    ASSERT_LE(x, 1);
    sum += x / kDraws;
  }
  EXPECT_NEAR(sum, 0.5, 5 / std::sqrt(12.0 * kDraws));
}

}  // namespace
}  // namespace muster::simulate
