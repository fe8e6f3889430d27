#include "daemon/detect/group_values.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"

namespace muster::detect {
namespace {

// Losses 1 … 5: median 3, absolute deviations 0, 1, 1, 2, 2, so that the MAD is
// 1, times the factor of five values.
constexpr double kFactorOfFive = 1.987;

MeasuredFrame FiveRanks() {
  MeasuredFrame frame(5);
  for (auto& rank : frame.measures.ranks) {
    rank.loss = 1 + rank.rank;
    rank.gradient_norm = std::exp(0.1 * rank.rank);
  }
  frame.measures.cosine_mean = 0.25;
  return frame;
}

TEST(GroupValuesTest, AreLogSpreadsAndTheLogOfTheNoiseScale) {
  const GroupValues group = GroupValuesOf(FiveRanks().measures);
  EXPECT_NEAR(*group[GroupMetric::kLoss], std::log(kFactorOfFive), 1e-12);
  EXPECT_NEAR(*group[GroupMetric::kGradientNorm], std::log(0.1 * kFactorOfFive),
              1e-12);
  // c = 1/(1 + B) at B = 3.
  EXPECT_NEAR(*group[GroupMetric::kDirection], -std::log(3.0), 1e-12);
  for (GroupMetric metric : kGroupMetrics) {
    const double natural = metric == GroupMetric::kLoss ? kFactorOfFive
                           : metric == GroupMetric::kGradientNorm
                               ? 0.1 * kFactorOfFive
                               : 0.25;
    EXPECT_NEAR(NaturalValue(metric, *group[metric], 0), natural, 1e-12);
  }
}

// Four times the batch halves the spread of the losses, and takes the cosine
// from 1/(1 + 3) to 1/(1 + 3/4): the values stay.
TEST(GroupValuesTest, TheBatchIsTakenOut) {
  MeasuredFrame frame = FiveRanks();
  for (auto& rank : frame.measures.ranks) {
    rank.loss = *rank.loss / 2;
    rank.weight = 4;
  }
  frame.measures.cosine_mean = 1 / 1.75;
  const GroupValues small = GroupValuesOf(FiveRanks().measures);
  const GroupValues large = GroupValuesOf(frame.measures);
  EXPECT_NEAR(*large[GroupMetric::kLoss], *small[GroupMetric::kLoss], 1e-12);
  EXPECT_NEAR(*large[GroupMetric::kDirection], *small[GroupMetric::kDirection],
              1e-12);
  EXPECT_NEAR(NaturalValue(GroupMetric::kDirection,
                           *large[GroupMetric::kDirection], large.log_weight),
              1 / 1.75, 1e-12);
}

TEST(GroupValuesTest, OneOddRankHardlyMovesTheSpread) {
  MeasuredFrame frame = FiveRanks();
  frame.measures.ranks[4].loss = 1e9;
  EXPECT_NEAR(*GroupValuesOf(frame.measures)[GroupMetric::kLoss],
              std::log(kFactorOfFive), 1e-12);
}

TEST(GroupValuesTest, NoneWhereRanksLackOrAgreeExactly) {
  MeasuredFrame frame = FiveRanks();
  frame.measures.ranks_expected = 7;  // 5 of 7 are fewer than three quarters
  for (GroupMetric metric : kGroupMetrics) {
    EXPECT_FALSE(GroupValuesOf(frame.measures)[metric]);
  }
  frame = FiveRanks();
  for (auto& rank : frame.measures.ranks) rank.loss = 2;
  EXPECT_FALSE(GroupValuesOf(frame.measures)[GroupMetric::kLoss]);
}

TEST(ReferenceCurveTest, IsTheMedianOfTheStepsAround) {
  ReferenceCurve curve;
  for (uint64_t step = 100; step <= 140; step += 2) {
    GroupValues values;
    values.values[0] = step == 120 ? 1e9 : static_cast<double>(step);
    curve.Add(step, values);
  }
  // Steps 104 … 136: seventeen values, their middle the one above 118.
  EXPECT_EQ(curve.At(GroupMetric::kLoss, 120), 122);
  EXPECT_FALSE(curve.At(GroupMetric::kDirection, 120));
  EXPECT_FALSE(curve.At(GroupMetric::kLoss, 90));  // four frames within 16
  EXPECT_EQ(curve.At(GroupMetric::kLoss, 92), 104);
}

}  // namespace
}  // namespace muster::detect
