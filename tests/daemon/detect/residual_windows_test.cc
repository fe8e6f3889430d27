#include "daemon/detect/residual_windows.h"

#include <cmath>
#include <random>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

// The tail of Pearson's correlation of two independent Gaussian series of m
// values, by Simpson's rule on its density (1 − x²)^((m−4)/2)/B(1/2, (m−2)/2).
double IntegratedTail(int m, double correlation) {
  const auto density = [m](double x) {
    return std::pow(1 - x * x, (m - 4) / 2.0);
  };
  const auto integral = [&](double from, double to) {
    constexpr int kParts = 20000;
    double sum = density(from) + density(to);
    for (int i = 1; i < kParts; ++i) {
      sum += (i % 2 == 1 ? 4 : 2) * density(from + (to - from) * i / kParts);
    }
    return sum * (to - from) / kParts / 3;
  };
  return integral(correlation, 1) / integral(-1, 1);
}

// One degree of freedom less, for the line.
TEST(CorrelationTailTest, BoundsTheIntegralTightly) {
  for (double correlation : {0.6, 0.7, 0.8, 0.9}) {
    const double exact = IntegratedTail(49, correlation);
    const double bound = CorrelationTail(50, correlation);
    EXPECT_GE(bound, exact) << correlation;
    EXPECT_LE(bound, 1.15 * exact) << correlation;
  }
  EXPECT_NEAR(CorrelationTail(50, 0.7), 1.1e-8, 0.1e-8);
}

TEST(CorrelationTailTest, IsInverted) {
  for (double probability : {1e-4, 1e-8, 1e-12, 1e-16}) {
    const double correlation = CorrelationAt(50, probability);
    EXPECT_NEAR(CorrelationTail(50, correlation) / probability, 1, 1e-6);
  }
}

class ResidualWindowsTest : public ::testing::Test {
 protected:
  // Independent losses but for pairs that share: rank 5 has rank 2's loss with
  // `noise` on top. Pairs of the windows that ended.
  std::vector<ResidualPair> Run(ResidualWindows& windows, uint32_t ranks,
                                int frames, double noise) {
    std::vector<ResidualPair> found;
    std::vector<RankValue> losses(ranks);
    for (int step = 0; step < frames; ++step) {
      for (uint32_t rank = 0; rank < ranks; ++rank) {
        losses[rank] = {rank, 3 + 0.1 * normal_(engine_)};
      }
      if (noise >= 0) {
        losses[5].value = losses[2].value + 0.1 * noise * normal_(engine_);
      }
      windows.Take(losses, ranks, step_++, found);
    }
    return found;
  }

  std::mt19937_64 engine_{1};
  std::normal_distribution<double> normal_;
  uint64_t step_ = 0;
};

// A quarter as much noise as loss: a correlation of 0.97.
TEST_F(ResidualWindowsTest, FindsThePairWhenAWindowIsFull) {
  ResidualWindows windows(50, 0.7, 1e6);
  EXPECT_TRUE(Run(windows, 8, 49, 0.25).empty());
  const auto found = Run(windows, 8, 1, 0.25);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].first, 2u);
  EXPECT_EQ(found[0].second, 5u);
  EXPECT_GT(found[0].correlation, 0.9);
  EXPECT_EQ(windows.first_step(), 0u);
  EXPECT_EQ(Run(windows, 8, 50, 0.25).size(), 1u);
}

// One value less than the window leaves both out of it.
TEST_F(ResidualWindowsTest, RanksThatLackAValueAreLeftOut) {
  ResidualWindows windows(50, 0.7, 1e6);
  Run(windows, 8, 20, 0.25);
  std::vector<ResidualPair> found;
  windows.Take({{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}}, 8, 20, found);
  EXPECT_TRUE(Run(windows, 8, 29, 0.25).empty());
}

TEST_F(ResidualWindowsTest, MoreRanksNeedMoreCorrelation) {
  ResidualWindows few(50, 0.7, 5e6);
  Run(few, 8, 50, -1);
  EXPECT_EQ(few.least_correlation(), 0.7);
  ResidualWindows many(50, 0.7, 5e6);
  Run(many, 1024, 50, -1);
  EXPECT_NEAR(many.least_correlation(), 0.78, 0.01);
  const double pairs = 1024 * 1023 / 2.0;
  EXPECT_NEAR(CorrelationTail(50, many.least_correlation()) * pairs / 50 * 5e6,
              1, 1e-6);
}

// The work is spread over frames, and nothing is lost on the way: 3,000 ranks
// are 4.5 million pairs, five frames' worth.
TEST_F(ResidualWindowsTest, LargeWindowsAreLookedAtOverSeveralFrames) {
  ResidualWindows windows(50, 0.7, 1e6);
  Run(windows, 3000, 50, 0.1);
  std::vector<ResidualPair> found;
  int frames = 0;
  std::vector<RankValue> none;
  while (!windows.Take(none, 3000, step_++, found)) ++frames;
  EXPECT_EQ(frames, 3);
  EXPECT_TRUE(found.empty());  // they came with the first frame
}

}  // namespace
}  // namespace muster::detect
