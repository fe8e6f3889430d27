#include "daemon/detect/robust_spread.h"

#include <algorithm>
#include <deque>
#include <random>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

using Values = std::vector<double>;

TEST(SortedMedianTest, HandWorked) {
  EXPECT_EQ(SortedMedian(Values{4}), 4);
  EXPECT_EQ(SortedMedian(Values{1, 4}), 2.5);
  EXPECT_EQ(SortedMedian(Values{1, 2, 9}), 2);
}

TEST(SortedMedianTest, WithoutOneHandWorked) {
  const Values values = {1, 2, 4, 8};
  EXPECT_EQ(SortedMedianWithout(values, 0), 4);
  EXPECT_EQ(SortedMedianWithout(values, 1), 4);
  EXPECT_EQ(SortedMedianWithout(values, 2), 2);
  EXPECT_EQ(SortedMedianWithout(values, 3), 2);
  EXPECT_EQ(SortedMedianWithout(Values{1, 3, 5}, 1), 3);
  EXPECT_EQ(SortedMedianWithout(Values{1, 3}, 0), 3);
}

TEST(RobustSpreadTest, HandWorked) {
  // Median 3; deviations 2, 1, 0, 1, 97: their median is 1.
  EXPECT_DOUBLE_EQ(RobustSpread(Values{1, 2, 3, 4, 100}), 1.987);
  // Median 2.5; deviations 2.5, 0.5, 0.5, 1.5: their median is 1.
  EXPECT_DOUBLE_EQ(RobustSpread(Values{0, 2, 3, 4}), 2.206);
  EXPECT_DOUBLE_EQ(RobustSpread(Values{0, 2}), 2.0966);
  EXPECT_EQ(RobustSpread(Values{7, 7, 7}), 0);
}

TEST(RobustSpreadTest, EqualsTheDefinitionOnRandomValues) {
  std::mt19937_64 engine(1);
  for (size_t count = 2; count < 40; ++count) {
    Values values(count);
    for (double& value : values) value = static_cast<double>(engine() % 50);
    std::sort(values.begin(), values.end());
    const double median = SortedMedian(values);
    Values deviations;
    for (double value : values) deviations.push_back(std::abs(value - median));
    std::sort(deviations.begin(), deviations.end());
    // The factor cancels against that of values whose deviation is 1.
    Values unit(count, 0.0);
    for (size_t i = 0; i < count; ++i) {
      unit[i] = i < count / 2 ? -1 : i >= (count + 1) / 2 ? 1 : 0;
    }
    if (count == 3) unit = {-1, 0, 1};
    const double factor = RobustSpread(unit);
    EXPECT_NEAR(RobustSpread(values), factor * SortedMedian(deviations), 1e-9)
        << count;
    Values shuffled = values;
    std::shuffle(shuffled.begin(), shuffled.end(), engine);
    const MedianAndSpread found = FindMedianAndSpread(shuffled);
    EXPECT_EQ(found.median, SortedMedian(values)) << count;
    EXPECT_EQ(found.spread, RobustSpread(values)) << count;
  }
}

// The median of 20,001 frames' spreads has a relative standard error of about
// 0.5 % at two ranks and less above; 2 % are four of them.
TEST(RobustSpreadTest, MedianOverFramesIsTheStandardDeviation) {
  std::mt19937_64 engine(7);
  std::normal_distribution<double> normal(5, 3);
  for (size_t count : {2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 33, 64}) {
    Values spreads;
    Values values(count);
    for (int frame = 0; frame < 20001; ++frame) {
      for (double& value : values) value = normal(engine);
      std::sort(values.begin(), values.end());
      spreads.push_back(RobustSpread(values));
    }
    std::sort(spreads.begin(), spreads.end());
    EXPECT_NEAR(SortedMedian(spreads) / 3, 1, 0.02) << count << " ranks";
  }
}

TEST(SpreadHistoryTest, PooledIsTheMedianOfTheNewest) {
  SpreadHistory history(7);
  EXPECT_EQ(history.Pooled(), 0);
  std::mt19937_64 engine(3);
  std::deque<double> newest;
  for (int i = 0; i < 200; ++i) {
    // Few distinct values, so that equal ones leave and enter.
    const auto value = static_cast<double>(engine() % 9);
    history.Push(value);
    newest.push_back(value);
    if (newest.size() > 7) newest.pop_front();
    Values sorted(newest.begin(), newest.end());
    std::sort(sorted.begin(), sorted.end());
    ASSERT_EQ(history.Pooled(), SortedMedian(sorted)) << i;
  }
  EXPECT_EQ(history.pushed(), 200u);
  history.Clear();
  EXPECT_EQ(history.pushed(), 0u);
  EXPECT_EQ(history.Pooled(), 0);
}

}  // namespace
}  // namespace muster::detect
