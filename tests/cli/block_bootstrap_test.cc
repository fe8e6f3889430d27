#include "cli/block_bootstrap.h"

#include <cmath>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::cli {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Le;

using Engine = std::mt19937_64;

// Stationary autoregression of order 1 with variance 1.
std::vector<double> Autoregression(double rho, double mean, size_t n,
                                   Engine& engine) {
  std::normal_distribution<double> normal;
  const double innovation = std::sqrt(1 - rho * rho);
  std::vector<double> values;
  double state = normal(engine);
  for (size_t t = 0; t < n; ++t) {
    values.push_back(mean + state);
    state = rho * state + innovation * normal(engine);
  }
  return values;
}

TEST(BlockBootstrapTest, EqualsTheClosedFormForIndependentValues) {
  Engine engine(1);
  const std::vector<double> a = Autoregression(0, 3, 2000, engine);
  const std::vector<double> b = Autoregression(0, 2, 2000, engine);
  const auto estimate = Bootstrap(Contrast::kDifference, a, b);
  ASSERT_TRUE(estimate.has_value());
  EXPECT_EQ(estimate->pairs, 2000u);
  EXPECT_NEAR(estimate->value, estimate->a - estimate->b, 1e-12);
  // ± 1.96·√(2/n); the blocks' share of the error is about √(10/2n) = 5 %.
  const double half = 1.96 * std::sqrt(2.0 / 2000);
  EXPECT_NEAR(estimate->high - estimate->value, half, 0.2 * half);
  EXPECT_NEAR(estimate->value - estimate->low, half, 0.2 * half);
}

TEST(BlockBootstrapTest, CoversTheTruthOfCorrelatedSeries) {
  // 400 series: a coverage of 0.93, which is what 600 values with ρ = 0.6
  // leave of the nominal 0.95, is found within 3·√(0.93·0.07/400) = 0.04.
  constexpr int kSeries = 400;
  constexpr size_t kValues = 600;
  Engine engine(2);
  int difference = 0;
  int ratio = 0;
  int independent = 0;
  for (int i = 0; i < kSeries; ++i) {
    const auto a = Autoregression(0.6, 12, kValues, engine);
    const auto b = Autoregression(0.6, 8, kValues, engine);
    const auto of_difference = Bootstrap(Contrast::kDifference, a, b);
    const auto of_ratio = Bootstrap(Contrast::kRatio, a, b);
    ASSERT_TRUE(of_difference && of_ratio);
    difference += of_difference->low <= 4 && 4 <= of_difference->high;
    ratio += of_ratio->low <= 1.5 && 1.5 <= of_ratio->high;
    independent += std::abs(of_difference->value - 4) <=
                   1.96 * std::sqrt(2.0 / static_cast<double>(kValues));
  }
  EXPECT_THAT(difference, AllOf(Ge(0.89 * kSeries), Le(0.98 * kSeries)));
  EXPECT_THAT(ratio, AllOf(Ge(0.89 * kSeries), Le(0.98 * kSeries)));
  // What the closed form for independent values would cover: its variance is
  // short by (1 + ρ)/(1 − ρ) = 4, so 2Φ(0.98) − 1 = 0.67.
  EXPECT_NEAR(independent, 0.67 * kSeries, 0.08 * kSeries);
}

TEST(BlockBootstrapTest, BlocksGrowWithCorrelation) {
  Engine engine(3);
  const std::vector<double> none(4000, 0.0);
  const auto block = [&](double rho) {
    return Bootstrap(Contrast::kDifference,
                     Autoregression(rho, 0, 4000, engine), none)
        ->block;
  };
  EXPECT_EQ(block(0), 10u);
  // 24000^(1/3)·(0.9/0.19)^(2/3) = 28.845·2.820 = 81.4; ρ is found within 0.02.
  EXPECT_THAT(block(0.9), AllOf(Ge(70u), Le(100u)));
  // Correlation beyond what 60 values can show: five blocks.
  std::vector<double> ramp;
  for (int t = 0; t < 60; ++t) ramp.push_back(t);
  EXPECT_EQ(Bootstrap(Contrast::kDifference, ramp, std::vector<double>(60, 0.0))
                ->block,
            12u);
}

TEST(BlockBootstrapTest, BlocksKeepNeighboursAndPairsTogether) {
  // +1, −1, …: each block of ten sums to nothing, wherever it begins.
  std::vector<double> a;
  std::vector<double> b;
  for (int t = 0; t < 100; ++t) {
    a.push_back(t % 2 == 0 ? 1 : -1);
    b.push_back(0);
  }
  auto estimate = Bootstrap(Contrast::kDifference, a, b);
  ASSERT_TRUE(estimate.has_value());
  EXPECT_EQ(estimate->block, 10u);
  EXPECT_NEAR(estimate->low, 0, 1e-12);
  EXPECT_NEAR(estimate->high, 0, 1e-12);

  // Whatever moves both alike cancels.
  Engine engine(4);
  b = Autoregression(0.5, 20, 100, engine);
  a.clear();
  for (const double value : b) a.push_back(1.5 * value);
  estimate = Bootstrap(Contrast::kRatio, a, b);
  ASSERT_TRUE(estimate.has_value());
  EXPECT_NEAR(estimate->low, 1.5, 1e-12);
  EXPECT_NEAR(estimate->high, 1.5, 1e-12);
}

TEST(BlockBootstrapTest, IsNotPulledByTheEndsOfASeries) {
  // The first value begins one of 91 possible blocks; one in the middle is in
  // ten of them.
  std::vector<double> a(100, 0.0);
  a[0] = 1000;
  const auto estimate =
      Bootstrap(Contrast::kDifference, a, std::vector<double>(100, 0.0));
  ASSERT_TRUE(estimate.has_value());
  // Of ten blocks none (90 %) or one holds it, giving 0 or 10 and a mean of
  // 10·10/91 = 1.1, found within 4·3.3/√2000 = 0.3; shifted by 10 − 1.1.
  EXPECT_NEAR(estimate->low, 0 + 8.9, 0.3);
  EXPECT_NEAR(estimate->high, 10 + 8.9, 0.3);
}

TEST(BlockBootstrapTest, RefusesWhatHasNoAnswer) {
  EXPECT_FALSE(Bootstrap(Contrast::kRatio, std::vector<double>(49, 1.0),
                         std::vector<double>(49, 1.0)));
  EXPECT_FALSE(Bootstrap(Contrast::kRatio, std::vector<double>(50, 1.0),
                         std::vector<double>(50, 0.0)));
  EXPECT_TRUE(Bootstrap(Contrast::kRatio, std::vector<double>(50, 0.0),
                        std::vector<double>(50, 1.0)));
  // 5 blocks of 10 may well all miss the one value that is not 0.
  std::vector<double> rare(50, 0.0);
  rare[0] = 1;
  EXPECT_FALSE(Bootstrap(Contrast::kRatio, std::vector<double>(50, 1.0), rare));
}

TEST(BlockBootstrapTest, GivesTheSameAnswerTwice) {
  Engine engine(5);
  const auto a = Autoregression(0.3, 1, 200, engine);
  const auto b = Autoregression(0.3, 1, 200, engine);
  const auto once = Bootstrap(Contrast::kDifference, a, b);
  const auto twice = Bootstrap(Contrast::kDifference, a, b);
  EXPECT_EQ(once->low, twice->low);
  EXPECT_EQ(once->high, twice->high);
}

}  // namespace
}  // namespace muster::cli
