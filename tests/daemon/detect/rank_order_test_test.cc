#include "daemon/detect/rank_order_test.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

using Values = std::vector<double>;

TEST(OrdersAmongTest, WithoutMarginCountsTies) {
  const Values values = {1, 2, 2, 2, 5};
  const Orders orders = OrdersAmong(values, 2, 0, true);
  EXPECT_EQ(orders.upper.beyond, 1u);
  EXPECT_EQ(orders.upper.tied, 2u);
  EXPECT_EQ(orders.upper.count, 5u);
  EXPECT_EQ(orders.lower.beyond, 1u);
  EXPECT_EQ(orders.lower.tied, 2u);
  const Orders top = OrdersAmong(values, 5, 0, true);
  EXPECT_EQ(top.upper.beyond, 0u);
  EXPECT_EQ(top.lower.beyond, 4u);
}

TEST(OrdersAmongTest, MarginMovesTheValueTowardsTheOthers) {
  const Values values = {1, 2, 3, 4, 10};
  // 10 − 6 = 4 ties with 4, against the alarm.
  EXPECT_EQ(OrdersAmong(values, 10, 6, true).upper.beyond, 1u);
  EXPECT_EQ(OrdersAmong(values, 10, 5.5, true).upper.beyond, 0u);
  EXPECT_EQ(OrdersAmong(values, 10, 5.5, true).lower.beyond, 4u);
  EXPECT_EQ(OrdersAmong(values, 1, 1, true).lower.beyond, 1u);
  EXPECT_EQ(OrdersAmong(values, 1, 0.5, true).lower.beyond, 0u);
  EXPECT_EQ(OrdersAmong(values, 1, 0.5, true).upper.beyond, 4u);
}

TEST(OrdersAmongTest, ValueOutsideIsComparedWithAll) {
  const Values values = {1, 2, 3};
  const Orders orders = OrdersAmong(values, 2, 0, false);
  EXPECT_EQ(orders.upper.beyond, 1u);
  EXPECT_EQ(orders.upper.tied, 1u);
  EXPECT_EQ(orders.upper.count, 4u);
  EXPECT_EQ(OrdersAmong(values, 2, 1, false).upper.beyond, 3u);
  EXPECT_EQ(OrdersAmong(values, 9, 1, false).upper.beyond, 0u);
}

TEST(OrdersOfAllTest, AreThoseOfEachOne) {
  Values values;
  for (int i = 0; i < 60; ++i) values.push_back((i * i % 37 - 18) / 4.0);
  values.push_back(1e300);
  std::sort(values.begin(), values.end());
  for (double margin : {0.0, 0.1, 0.25, 1.0, 100.0}) {
    std::vector<Orders> all;
    OrdersOfAll(values, margin, all);
    ASSERT_EQ(all.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const Orders one = OrdersAmong(values, values[i], margin, true);
      EXPECT_EQ(all[i].upper.beyond, one.upper.beyond) << i;
      EXPECT_EQ(all[i].upper.tied, one.upper.tied) << i;
      EXPECT_EQ(all[i].upper.count, one.upper.count) << i;
      EXPECT_EQ(all[i].lower.beyond, one.lower.beyond) << i;
      EXPECT_EQ(all[i].lower.tied, one.lower.tied) << i;
      EXPECT_EQ(all[i].lower.count, one.lower.count) << i;
    }
  }
}

TEST(BetTableTest, HandWorked) {
  BetTable table;
  table.Prepare(4);
  // ε = 0.5: 4 [√(1/4) − 0] = 2, then 4 [√(2/4) − √(1/4)] = 2√2 − 2.
  EXPECT_DOUBLE_EQ(table.BetsOn({0, 0, 4})[2], 2);
  EXPECT_DOUBLE_EQ(table.BetsOn({1, 0, 4})[2], 2 * std::sqrt(2) - 2);
}

TEST(BetTableTest, MeanIsOneWhateverTheTies) {
  BetTable table;
  table.Prepare(9);
  for (size_t count = 1; count <= 9; ++count) {
    // Each bit of `cuts` separates two neighbouring positions; positions that
    // are not separated are tied.
    for (unsigned cuts = 0; cuts < 1u << (count - 1); ++cuts) {
      Bets sum{};
      for (size_t begin = 0; begin < count;) {
        size_t end = begin + 1;
        while (end < count && !(cuts >> (end - 1) & 1)) ++end;
        const Bets bets = table.BetsOn({begin, end - begin - 1, count});
        for (size_t i = 0; i < bets.size(); ++i) {
          sum[i] += static_cast<double>(end - begin) * bets[i];
        }
        begin = end;
      }
      for (double each : sum) {
        ASSERT_NEAR(each, static_cast<double>(count), 1e-12) << cuts;
      }
    }
  }
}

TEST(BetTableTest, IsTheSameWhateverIsLookedUp) {
  BetTable table;
  table.Prepare(5);
  const Bets looked_up = table.BetsOn({3, 0, 5});
  const Bets from_outside = table.BetsOn({3, 0, 6});
  table.Prepare(6);
  EXPECT_EQ(table.BetsOn({3, 0, 5}), looked_up);
  EXPECT_EQ(table.BetsOn({3, 0, 6}), from_outside);
}

TEST(BetTableTest, BetsFallWithTheOrder) {
  BetTable table;
  table.Prepare(1000);
  for (size_t beyond = 1; beyond < 1000; ++beyond) {
    for (size_t i = 0; i < kExponents.size(); ++i) {
      ASSERT_LT(table.BetsOn({beyond, 0, 1000})[i],
                table.BetsOn({beyond - 1, 0, 1000})[i]);
    }
  }
}

// The martingale property behind the guarantee, exactly: over all 4^5 equally
// likely sequences of orders the mean statistic after n frames is n.
TEST(RankOrderStreamTest, MeanStatisticGrowsByOneEachFrame) {
  BetTable table;
  table.Prepare(4);
  for (int frames = 1; frames <= 5; ++frames) {
    const int sequences = 1 << (2 * frames);
    double sum = 0;
    for (int sequence = 0; sequence < sequences; ++sequence) {
      RankOrderStream stream;
      for (int i = 0; i < frames; ++i) {
        const size_t beyond = sequence >> (2 * i) & 3;
        stream.Add(table.BetsOn({beyond, 0, 4}), i, 0);
      }
      sum += stream.statistic();
    }
    EXPECT_NEAR(sum / sequences, frames, 1e-9);
  }
}

TEST(RankOrderStreamTest, AlwaysFirstOfEightHandWorked) {
  BetTable table;
  table.Prepare(8);
  RankOrderStream stream;
  stream.Add(table.BetsOn({0, 0, 8}), 1, 0);
  stream.Add(table.BetsOn({0, 0, 8}), 2, 0);
  double expected = 0;
  for (double exponent : {0.1, 0.25, 0.5, 0.75, 0.9}) {
    const double bet = 8 * std::pow(1.0 / 8, exponent);
    expected += bet * (1 + bet) / 5;
  }
  EXPECT_NEAR(stream.statistic(), expected, 1e-9);
}

TEST(RankOrderStreamTest, OnsetIsWhereTheRankBecameOdd) {
  BetTable table;
  table.Prepare(8);
  RankOrderStream stream;
  for (uint64_t step = 0; step < 20; ++step) {
    stream.Add(table.BetsOn({7 - step % 2, 0, 8}), step, -1);
  }
  for (uint64_t step = 20; step < 30; ++step) {
    stream.Add(table.BetsOn({0, 0, 8}), step, step % 2 == 0 ? 2 : 4);
  }
  EXPECT_EQ(stream.onset_step(), 20u);
  EXPECT_EQ(stream.onset_bets(), 10u);
  EXPECT_DOUBLE_EQ(stream.mean_deviation(), 3);
  stream.Restart();
  EXPECT_EQ(stream.statistic(), 0);
}

}  // namespace
}  // namespace muster::detect
