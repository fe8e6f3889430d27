#include "daemon/consistency/epoch_account.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace muster::consistency {
namespace {

using Draws = std::vector<std::pair<uint32_t, uint64_t>>;  // (rank, sample)

struct Truth {
  double distinct, shared, repeats;
};

// By sets.
Truth Count(const Draws& draws) {
  std::map<uint64_t, std::set<uint32_t>> ranks;
  size_t repeats = 0;
  for (const auto& [rank, sample] : draws) {
    if (!ranks[sample].insert(rank).second) ++repeats;
  }
  const auto shared =
      std::count_if(ranks.begin(), ranks.end(),
                    [](const auto& entry) { return entry.second.size() > 1; });
  const auto distinct = static_cast<double>(ranks.size());
  return {distinct, shared / distinct,
          repeats / static_cast<double>(draws.size())};
}

// Four ranks with `each` draws of `of` samples, near their own part.
Draws RandomDraws(uint64_t seed, size_t each, uint64_t of) {
  std::mt19937_64 random(seed);
  Draws draws;
  for (uint32_t rank = 0; rank < 4; ++rank) {
    for (size_t i = 0; i < each; ++i) {
      draws.push_back({rank, (rank * of / 4 + random() % (of / 3)) % of});
    }
  }
  return draws;
}

EpochAccount Taken(const Draws& draws, size_t capacity) {
  EpochAccount account(0, capacity);
  for (const auto& [rank, sample] : draws) account.Add(rank, sample);
  return account;
}

TEST(EpochAccountTest, CountsByHand) {
  // Rank 0 draws 1, 2, 2; rank 1 draws 2, 3; rank 3 draws 2, 2, 2.
  const EpochAccount account = Taken(
      {{0, 1}, {0, 2}, {0, 2}, {1, 2}, {1, 3}, {3, 2}, {3, 2}, {3, 2}}, 100);
  const SampleMeasures figures = account.Figures(10);
  EXPECT_EQ(figures.kept, 3u);
  EXPECT_EQ(figures.distinct, 3);
  EXPECT_DOUBLE_EQ(figures.shared_share, 1.0 / 3);
  EXPECT_DOUBLE_EQ(figures.repeat_share, 3.0 / 8);
  EXPECT_DOUBLE_EQ(*figures.undrawn_share, 0.7);
  EXPECT_EQ(figures.distinct_error, 0);
  EXPECT_EQ(figures.shared_error, 0);
  EXPECT_EQ(figures.repeat_error, 0);
  EXPECT_EQ(figures.undrawn_error, 0);

  const RankSamples zero = *account.FiguresOf(0, nullptr);
  EXPECT_EQ(zero.drawn, 2u);
  EXPECT_DOUBLE_EQ(zero.shared_share, 0.5);
  EXPECT_DOUBLE_EQ(zero.repeat_share, 1.0 / 3);
  const RankSamples three = *account.FiguresOf(3, nullptr);
  EXPECT_DOUBLE_EQ(three.shared_share, 1);
  EXPECT_DOUBLE_EQ(three.repeat_share, 2.0 / 3);
  EXPECT_FALSE(account.FiguresOf(2, nullptr));
  EXPECT_FALSE(account.FiguresOf(4, nullptr));
}

TEST(EpochAccountTest, IsExactBelowItsCapacity) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const Draws draws = RandomDraws(seed, 2000, 5000);
    const SampleMeasures figures = Taken(draws, 100000).Figures(std::nullopt);
    const Truth truth = Count(draws);
    EXPECT_EQ(figures.distinct, truth.distinct);
    EXPECT_DOUBLE_EQ(figures.shared_share, truth.shared);
    EXPECT_DOUBLE_EQ(figures.repeat_share, truth.repeats);
    EXPECT_FALSE(figures.undrawn_share);
  }
}

TEST(EpochAccountTest, StatesItsErrorBeyondItsCapacity) {
  constexpr int kSeeds = 40;
  double squares[3] = {};
  for (int seed = 0; seed < kSeeds; ++seed) {
    // Other samples for each seed: the hash is fixed.
    Draws draws = RandomDraws(seed, 4000, 8000);
    for (auto& [rank, sample] : draws) sample += uint64_t(seed) << 32;
    const EpochAccount account = Taken(draws, 3000);
    const SampleMeasures figures = account.Figures(std::nullopt);
    EXPECT_LE(figures.kept, 3000u);
    EXPECT_GT(figures.kept, 500u);
    const Truth truth = Count(draws);
    const double deviations[3] = {
        (figures.distinct - truth.distinct) / figures.distinct_error,
        (figures.shared_share - truth.shared) / figures.shared_error,
        (figures.repeat_share - truth.repeats) / figures.repeat_error};
    for (int i = 0; i < 3; ++i) {
      EXPECT_LT(std::fabs(deviations[i]), 4) << seed << " " << i;
      squares[i] += deviations[i] * deviations[i] / kSeeds;
    }
  }
  // Mean of 40 squared standard normal numbers: 0.5 … 1.7 with a chance of
  // 0.99 (chi-square), were the errors exact.
  for (double square : squares) {
    EXPECT_GT(square, 0.5);
    EXPECT_LT(square, 1.7);
  }
}

TEST(EpochAccountTest, OrderOfDrawsDoesNotMatter) {
  Draws draws = RandomDraws(1, 3000, 9000);
  const SampleMeasures first = Taken(draws, 2000).Figures(9000);
  std::shuffle(draws.begin(), draws.end(), std::mt19937_64(5));
  const SampleMeasures second = Taken(draws, 2000).Figures(9000);
  EXPECT_EQ(first.kept, second.kept);
  EXPECT_EQ(first.distinct, second.distinct);
  EXPECT_EQ(first.shared_share, second.shared_share);
  EXPECT_EQ(first.repeat_share, second.repeat_share);
  EXPECT_EQ(first.repeat_error, second.repeat_error);
}

TEST(EpochAccountTest, LimitOfASenderIsTheAccountsOwn) {
  const Draws draws = RandomDraws(2, 3000, 9000);
  EpochAccount before(0, 100000);
  before.LowerLimit(uint64_t{1} << 62);
  for (const auto& [rank, sample] : draws) before.Add(rank, sample);
  EpochAccount after = Taken(draws, 100000);
  after.LowerLimit(uint64_t{1} << 62);
  after.LowerLimit(uint64_t{1} << 63);  // higher: no effect
  for (const EpochAccount* account : {&before, &after}) {
    const SampleMeasures figures = account->Figures(std::nullopt);
    EXPECT_EQ(figures.distinct, 4.0 * figures.kept);
    EXPECT_DOUBLE_EQ(figures.distinct_error,
                     4 * std::sqrt(0.75 * figures.kept));
    EXPECT_NEAR(figures.distinct, Count(draws).distinct,
                4 * figures.distinct_error);
  }
  EXPECT_EQ(before.Figures({}).kept, after.Figures({}).kept);
}

TEST(EpochAccountTest, LimitOfZeroKnowsNothing) {
  EpochAccount account = Taken({{0, 1}, {1, 1}}, 10);
  account.LowerLimit(0);
  const SampleMeasures figures = account.Figures(5);
  EXPECT_EQ(figures.kept, 0u);
  EXPECT_EQ(figures.shared_share, 0);
  EXPECT_FALSE(figures.undrawn_share);
}

TEST(EpochAccountTest, SeesTheOrderOfTheEpochBefore) {
  EpochAccount before(0, 1000);
  EpochAccount reversed(1, 1000);
  for (uint64_t i = 0; i < 100; ++i) {
    before.Add(0, i);
    reversed.Add(0, 99 - i);
  }
  EpochAccount same(1, 1000);
  for (uint64_t i = 0; i < EpochAccount::kOrderDraws; ++i) {
    if (i > 0) {
      EXPECT_FALSE(same.FiguresOf(0, &before)->same_order) << i;
    }
    same.Add(0, i);
  }
  EXPECT_TRUE(same.FiguresOf(0, &before)->same_order);
  EXPECT_FALSE(reversed.FiguresOf(0, &before)->same_order);
  EXPECT_FALSE(same.FiguresOf(0, nullptr)->same_order);
}

TEST(EpochAccountTest, FewDrawsInTheSameOrderSayNothing) {
  EpochAccount before(0, 1000);
  EpochAccount now(1, 1000);
  for (uint64_t i = 0; i < 15; ++i) {
    before.Add(0, i);
    now.Add(0, i);
  }
  EXPECT_FALSE(now.FiguresOf(0, &before)->same_order);
  before.Add(0, 15);
  now.Add(0, 15);
  EXPECT_TRUE(now.FiguresOf(0, &before)->same_order);
}

}  // namespace
}  // namespace muster::consistency
