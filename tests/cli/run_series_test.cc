#include "cli/run_series.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "gtest/gtest.h"

namespace muster::cli {
namespace {

consistency::Measures Step(uint32_t attempt, uint64_t step, double loss) {
  consistency::Measures measures;
  measures.attempt = attempt;
  measures.step = step;
  measures.loss_mean = loss;
  return measures;
}

TEST(RunSeriesTest, TheLatestAttemptOfAStepCounts) {
  RunSeries series;
  AddStep(Step(1, 7, 1.0), series);
  AddStep(Step(1, 8, 2.0), series);
  AddStep(Step(2, 7, 3.0), series);
  AddStep(Step(1, 7, 4.0), series);
  ASSERT_EQ(series.size(), 2u);
  EXPECT_EQ(series.at(7)[SeriesMetric::kLoss], 3.0);
  EXPECT_EQ(series.at(8)[SeriesMetric::kLoss], 2.0);
}

TEST(RunSeriesTest, DispersionDoesNotDependOnTheNumberOfRanks) {
  // √(n/(n−1))/c₄(n) is √π for n = 2 (c₄ = √(2/π)) and √(π/2) for n = 4 (c₄ =
  // 2·√(2/(3π))).
  RunSeries series;
  consistency::Measures two = Step(1, 1, 1);
  two.loss = consistency::Spread{.count = 2, .mean = 1, .stddev = 0.5};
  two.gradient_norm = consistency::Spread{.count = 4, .mean = 10, .stddev = 2};
  AddStep(two, series);
  EXPECT_NEAR(*series.at(1)[SeriesMetric::kLossDispersion],
              0.5 * std::sqrt(std::numbers::pi), 1e-12);
  EXPECT_NEAR(*series.at(1)[SeriesMetric::kNormDispersion],
              0.2 * std::sqrt(std::numbers::pi / 2), 1e-12);
}

TEST(RunSeriesTest, WhatWasNotMeasuredIsAbsent) {
  RunSeries series;
  consistency::Measures measures =
      Step(1, 1, std::numeric_limits<double>::quiet_NaN());
  measures.loss = consistency::Spread{.count = 1, .mean = 1};
  measures.gradient_norm = consistency::Spread{.count = 4, .mean = 0};
  AddStep(measures, series);
  for (const SeriesMetric metric : kSeriesMetrics) {
    EXPECT_FALSE(series.at(1)[metric].has_value());
  }
}

}  // namespace
}  // namespace muster::cli
