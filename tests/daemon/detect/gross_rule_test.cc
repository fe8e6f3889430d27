#include "daemon/detect/gross_rule.h"

#include <cmath>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

std::vector<GrossOutlier> Find(const std::vector<double>& values,
                               double spread = 0.1, double log_unit = 1) {
  std::vector<RankValue> logs;
  for (double value : values) {
    logs.push_back(
        {static_cast<uint32_t>(logs.size()), std::log(value) / log_unit});
  }
  std::vector<GrossOutlier> outliers;
  FindGross(logs, log_unit, spread, outliers);
  return outliers;
}

TEST(GrossRuleTest, FindsMoreThanFactor32) {
  EXPECT_TRUE(Find({1, 1, 1, 31.9}).empty());
  const auto high = Find({1, 1, 1, 32.1});
  ASSERT_EQ(high.size(), 1u);
  EXPECT_EQ(high[0].rank, 3u);
  EXPECT_NEAR(std::exp(high[0].log_ratio), 32.1, 1e-9);
  EXPECT_NEAR(high[0].deviations, std::log(32.1) / 0.1, 1e-9);
  const auto low = Find({1, 1 / 32.1, 1, 1});
  ASSERT_EQ(low.size(), 1u);
  EXPECT_EQ(low[0].rank, 1u);
  EXPECT_NEAR(std::exp(-low[0].log_ratio), 32.1, 1e-9);
  EXPECT_TRUE(Find({1, 1 / 31.9, 1, 1}).empty());
}

TEST(GrossRuleTest, WideSpreadsNeedTwelveDeviations) {
  EXPECT_TRUE(Find({1, 1, 1, 100}, 0.5).empty());   // log 100 = 9.2 × 0.5
  EXPECT_EQ(Find({1, 1, 1, 500}, 0.5).size(), 1u);  // log 500 = 12.4 × 0.5
}

TEST(GrossRuleTest, FactorIsInTheValuesOwnUnit) {
  EXPECT_TRUE(Find({1, 1, 1, 31.9}, 0.1, 0.5).empty());
  const auto found = Find({1, 1, 1, 32.1}, 0.1, 0.5);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NEAR(std::exp(found[0].log_ratio), 32.1, 1e-9);
  EXPECT_NEAR(found[0].deviations, 2 * std::log(32.1) / 0.1, 1e-9);
}

TEST(GrossRuleTest, OfThreeRanksOnlyTheFarOne) {
  const auto high = Find({1, 1000, 1.1});
  ASSERT_EQ(high.size(), 1u);
  EXPECT_EQ(high[0].rank, 1u);
  const auto low = Find({1, 0.001, 1.1});
  ASSERT_EQ(low.size(), 1u);
  EXPECT_EQ(low[0].rank, 1u);
}

TEST(GrossRuleTest, OfTwoRanksBoth) { EXPECT_EQ(Find({1, 1000}).size(), 2u); }

TEST(GrossRuleTest, DegenerateInputFindsNothing) {
  EXPECT_TRUE(Find({}).empty());
  EXPECT_TRUE(Find({5}).empty());
  EXPECT_TRUE(Find({5, 5, 5}, 0).empty());
}

TEST(GrossRuleTest, DeviationsAreBoundedWithoutSpread) {
  const auto found = Find({1, 1, 1, 100}, 0);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].deviations, 1e6);
}

}  // namespace
}  // namespace muster::detect
