#include "daemon/detect/rank_metric.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

consistency::Measures MakeMeasures(uint32_t ranks) {
  consistency::Measures measures;
  measures.ranks.resize(ranks);
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    measures.ranks[rank].rank = rank;
  }
  return measures;
}

std::vector<RankValue> Comparable(Metric metric,
                                  const consistency::Measures& measures) {
  std::vector<RankValue> values;
  ComparableValues(metric, measures, 100, values);
  return values;
}

TEST(RankMetricTest, TakesWhatIsThereAndFinite) {
  consistency::Measures measures = MakeMeasures(4);
  measures.ranks[0].loss = 2.5;
  measures.ranks[1].loss = std::numeric_limits<double>::quiet_NaN();
  measures.ranks[3].loss = 3;
  const std::vector<RankValue> values = Comparable(Metric::kLoss, measures);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0].rank, 0u);
  EXPECT_EQ(values[0].value, 2.5);
  EXPECT_EQ(values[1].rank, 3u);
}

TEST(RankMetricTest, IgnoresRanksBeyondTheWorld) {
  consistency::Measures measures = MakeMeasures(4);
  for (auto& rank : measures.ranks) rank.loss = 1;
  std::vector<RankValue> values;
  ComparableValues(Metric::kLoss, measures, 2, values);
  EXPECT_EQ(values.size(), 2u);
}

TEST(RankMetricTest, NormIsTheLogOfItsSquareAndZeroIsFinite) {
  consistency::Measures measures = MakeMeasures(2);
  measures.ranks[0].gradient_norm = std::exp(1.5);
  measures.ranks[1].gradient_norm = 0;
  const auto values = Comparable(Metric::kGradientNorm, measures);
  EXPECT_DOUBLE_EQ(values[0].value, 3);
  EXPECT_LT(values[1].value, -600);
  EXPECT_TRUE(std::isfinite(values[1].value));
}

TEST(RankMetricTest, EqualOrIncompleteWeightsChangeNothing) {
  consistency::Measures measures = MakeMeasures(3);
  for (auto& rank : measures.ranks) {
    rank.loss = 1.0 + rank.rank;
    rank.weight = 32;
  }
  EXPECT_EQ(Comparable(Metric::kLoss, measures)[2].value, 3);
  measures.ranks[0].weight = 16;
  measures.ranks[1].weight.reset();
  EXPECT_EQ(Comparable(Metric::kLoss, measures)[2].value, 3);
}

TEST(RankMetricTest, UnequalWeightsScaleLossesHandWorked) {
  consistency::Measures measures = MakeMeasures(2);
  measures.ranks[0].loss = 2;
  measures.ranks[0].weight = 1;
  measures.ranks[1].loss = 6;
  measures.ranks[1].weight = 3;
  // Weighted mean 5, mean weight 2.
  const auto values = Comparable(Metric::kLoss, measures);
  EXPECT_NEAR(values[0].value, -3 * std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(values[1].value, 1 * std::sqrt(1.5), 1e-12);
}

TEST(RankMetricTest, NoiseModelExplainsNormsAndDirectionsOfUnequalWeights) {
  // Norms and cosines exactly as expected for |G|² = 4, tr Σ = 32.
  consistency::Measures measures = MakeMeasures(3);
  measures.gradient_square = 4;
  measures.covariance_trace = 32;
  for (auto& rank : measures.ranks) {
    rank.weight = 1 + rank.rank;
    const double square = 4 + 32 / *rank.weight;
    rank.gradient_norm = std::sqrt(square);
    rank.gradient_cosine = 2 / std::sqrt(square);
  }
  for (Metric metric : {Metric::kGradientNorm, Metric::kDirection}) {
    for (const RankValue& value : Comparable(metric, measures)) {
      EXPECT_NEAR(value.value, 0, 1e-12) << MetricName(metric);
    }
  }
  // Direction: rank 2 (w = 3) falls short by 0.1. p(w) = √(4 + 32/w), the
  // weighted mean of the projections falls by half of its own shortfall, and
  // p(w̄) = √20.
  measures.ranks[2].gradient_cosine = *measures.ranks[2].gradient_cosine - 0.1;
  const double shortfall = 0.1 * std::sqrt(4 + 32.0 / 3);
  EXPECT_NEAR(Comparable(Metric::kDirection, measures)[2].value,
              -shortfall / 2 * std::sqrt(1.5) / std::sqrt(20), 1e-12);
  // Without averages the values stay as they are.
  measures.gradient_square.reset();
  EXPECT_NEAR(Comparable(Metric::kGradientNorm, measures)[0].value,
              std::log(36), 1e-12);
  EXPECT_EQ(Comparable(Metric::kDirection, measures)[0].value, 2 / 6.0);
}

TEST(RankMetricTest, LogLossesNeedPositiveOnes) {
  consistency::Measures measures = MakeMeasures(2);
  measures.ranks[0].loss = std::exp(2);
  measures.ranks[1].loss = 1;
  std::vector<RankValue> values;
  LogLosses(measures, 2, values);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_DOUBLE_EQ(values[0].value, 2);
  measures.ranks[1].loss = 0;
  LogLosses(measures, 2, values);
  EXPECT_TRUE(values.empty());
}

}  // namespace
}  // namespace muster::detect
