#include "daemon/detect/trend.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

TEST(TrendTest, NeedsEnoughValues) {
  Trend trend(64, 8, 16);
  for (int i = 0; i < 23; ++i) trend.Push(i);
  EXPECT_FALSE(trend.Predict());
  trend.Push(23);
  EXPECT_TRUE(trend.Predict());
  trend.Restart();
  EXPECT_FALSE(trend.Predict());
}

TEST(TrendTest, ExtrapolatesALineExactly) {
  for (int count : {24, 25, 40, 72, 73, 300}) {
    Trend trend(64, 8, 16);
    for (int i = 0; i < count; ++i) trend.Push(3 + 0.5 * i);
    EXPECT_NEAR(trend.Predict()->value, 3 + 0.5 * count, 1e-12) << count;
    EXPECT_NEAR(trend.Predict()->error, 0, 1e-12);
  }
}

TEST(TrendTest, FewSpikesDoNotMoveIt) {
  Trend trend(64, 8, 16);
  for (int i = 0; i < 72; ++i) trend.Push(i % 7 == 3 ? 1e6 : 2);
  EXPECT_EQ(trend.Predict()->value, 2);
}

// A jump is not in what is expected before it has left the gap behind, and is
// extrapolated by (window/4 + gap)/(window/2) of itself at most.
TEST(TrendTest, FollowsAJumpLateAndOvershootsByABound) {
  Trend trend(64, 8, 16);
  for (int i = 0; i < 72; ++i) trend.Push(0);
  for (int i = 0; i < 8; ++i) {
    trend.Push(1);
    EXPECT_EQ(trend.Predict()->value, 0) << i;
  }
  double highest = 0;
  for (int i = 0; i < 64; ++i) {
    trend.Push(1);
    highest = std::max(highest, trend.Predict()->value);
  }
  EXPECT_NEAR(highest, 1 + (64.0 / 4 + 8 + 0.5) / 32, 1e-9);
  EXPECT_EQ(trend.Predict()->value, 1);
}

// Predictions of Gaussian noise around a line miss by their own error: over
// 2,000 series the ratio's root mean square is 1 within 5 % (its own standard
// error is 1.6 %), the finite-sample bias of the MAD included.
TEST(TrendTest, KnowsItsError) {
  std::mt19937_64 engine(1);
  std::normal_distribution<double> normal;
  double squares = 0;
  for (int series = 0; series < 2000; ++series) {
    Trend trend(256, 32, 128);
    for (int i = 0; i < 288; ++i) trend.Push(0.001 * i + 0.3 * normal(engine));
    const auto next = trend.Predict();
    const double miss = (next->value - 0.288) / next->error;
    squares += miss * miss;
  }
  EXPECT_NEAR(std::sqrt(squares / 2000), 1, 0.05);
}

}  // namespace
}  // namespace muster::detect
