#include "cli/compare.h"

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Truth {
  double loss_dispersion = 0.2;
  double norm_dispersion = 0.1;
  double cosine = 0.3;
  double loss = 2.0;
};

// Independent noise of 10 % of each but the loss, which has 1 %.
RunSeries Series(const Truth& truth, uint64_t from, uint64_t to,
                 uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  RunSeries series;
  for (uint64_t step = from; step < to; ++step) {
    StepValues values;
    values[SeriesMetric::kLossDispersion] =
        truth.loss_dispersion * (1 + 0.1 * normal(engine));
    values[SeriesMetric::kNormDispersion] =
        truth.norm_dispersion * (1 + 0.1 * normal(engine));
    values[SeriesMetric::kCosine] = truth.cosine * (1 + 0.1 * normal(engine));
    values[SeriesMetric::kLoss] = truth.loss * (1 + 0.01 * normal(engine));
    series[step] = values;
  }
  return series;
}

const MetricComparison& Of(const Comparison& comparison, SeriesMetric metric) {
  return comparison.metrics[static_cast<size_t>(metric)];
}

TEST(CompareTest, RunsOfOneSetUpAgree) {
  const Comparison comparison =
      Compare(Series({}, 0, 600, 1), Series({}, 100, 800, 2));
  EXPECT_EQ(comparison.common_steps, 500u);
  EXPECT_EQ(comparison.first_step, 100u);
  EXPECT_EQ(comparison.last_step, 599u);
  EXPECT_FALSE(comparison.differs());
  EXPECT_EQ(comparison.Verdict(), "agrees with the reference");
  ASSERT_EQ(comparison.metrics.size(), 4u);
  for (const MetricComparison& metric : comparison.metrics) {
    EXPECT_EQ(metric.agreement, Agreement::kAgrees);
    EXPECT_EQ(metric.estimate->pairs, 500u);
  }
}

TEST(CompareTest, FindsEachDifference) {
  // Standard errors: ratio 0.1·√(2/500)·1.5 = 0.01; cosine 0.03·√(2/500) =
  // 0.002; loss 0.02·√(2/500) = 0.0013. Five of them are the bounds.
  const RunSeries reference = Series({}, 0, 500, 2);
  const Comparison wider = Compare(
      Series({.loss_dispersion = 0.3, .norm_dispersion = 0.05}, 0, 500, 1),
      reference);
  EXPECT_TRUE(wider.differs());
  EXPECT_NEAR(Of(wider, SeriesMetric::kLossDispersion).estimate->value, 1.5,
              0.05);
  EXPECT_NEAR(Of(wider, SeriesMetric::kNormDispersion).estimate->value, 0.5,
              0.05);
  EXPECT_THAT(wider.Verdict(), StartsWith("differs: loss dispersion 1."));
  EXPECT_THAT(wider.Verdict(), HasSubstr("times the reference's, norm disp"));
  EXPECT_EQ(Of(wider, SeriesMetric::kCosine).agreement, Agreement::kAgrees);

  const Comparison other =
      Compare(Series({.cosine = 0.2, .loss = 2.1}, 0, 500, 1), reference);
  const MetricComparison& cosine = Of(other, SeriesMetric::kCosine);
  EXPECT_NEAR(cosine.estimate->value, -0.1, 0.01);
  EXPECT_EQ(cosine.agreement, Agreement::kDiffers);
  EXPECT_NEAR(Of(other, SeriesMetric::kLoss).estimate->value, 0.1, 0.007);
  EXPECT_THAT(other.Verdict(), StartsWith("differs: mean cosine lower by 0."));
  EXPECT_THAT(other.Verdict(), HasSubstr(", mean loss higher by 0."));
}

TEST(CompareTest, WhatTheMarginAllowsIsNoDifference) {
  // 5 % more dispersion and 0.5 % more loss are real and do not matter; 10 %
  // is on the margin.
  const RunSeries reference = Series({}, 0, 2000, 2);
  const Comparison comparison = Compare(
      Series({.loss_dispersion = 0.21, .norm_dispersion = 0.11, .loss = 2.01},
             0, 2000, 1),
      reference);
  const MetricComparison& loss = Of(comparison, SeriesMetric::kLossDispersion);
  EXPECT_GT(loss.estimate->low, 1);
  EXPECT_EQ(loss.agreement, Agreement::kAgrees);
  EXPECT_EQ(Of(comparison, SeriesMetric::kNormDispersion).agreement,
            Agreement::kOpen);
  EXPECT_EQ(comparison.Verdict(),
            "agrees with the reference; open: norm dispersion");
}

TEST(CompareTest, WhatFewStepsHaveIsUnknown) {
  RunSeries run = Series({}, 0, 100, 1);
  for (auto& [step, values] : run) {
    if (step % 3 != 0) values[SeriesMetric::kCosine].reset();
  }
  const Comparison comparison = Compare(run, Series({}, 0, 100, 2));
  EXPECT_EQ(Of(comparison, SeriesMetric::kCosine).agreement,
            Agreement::kUnknown);
  EXPECT_EQ(Of(comparison, SeriesMetric::kLoss).estimate->pairs, 100u);
}

TEST(CompareTest, SaysItInATableAndAsJson) {
  Options options;
  options.run = "new";
  options.reference = "old";
  const Comparison comparison =
      Compare(Series({.cosine = 0.1}, 5, 105, 1), Series({}, 5, 105, 2));
  const std::string text = FormatComparison(options, comparison);
  EXPECT_THAT(text, StartsWith("new differs: mean cosine lower by 0."));
  EXPECT_THAT(text, HasSubstr("\n100 common steps, 5 … 104; reference: old\n"));
  EXPECT_THAT(text, HasSubstr("\nloss dispersion  "));
  options.json = true;
  const std::string json = FormatComparison(options, comparison);
  EXPECT_THAT(json, HasSubstr("\"differs\": true"));
  EXPECT_THAT(json, HasSubstr("\"commonSteps\": 100"));
  EXPECT_THAT(json, HasSubstr("\"ratio\": "));
  EXPECT_THAT(json, HasSubstr("\"margin\": 0.02"));
}

}  // namespace
}  // namespace muster::cli
