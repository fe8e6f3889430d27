#include "daemon/runs/shown_ranks.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::runs {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::Not;
using ::testing::SizeIs;

// Frames of a healthy run: each rank's values are independent of all others.
class Frames {
 public:
  explicit Frames(uint32_t ranks) : ranks_(ranks) {}

  consistency::Measures Next() {
    std::normal_distribution<double> normal;
    consistency::Measures frame;
    frame.ranks_expected = ranks_;
    for (uint32_t rank = 0; rank < ranks_; ++rank) {
      auto& values = frame.ranks.emplace_back();
      values.rank = rank;
      values.loss = 2 + 0.1 * normal(random_);
      values.gradient_norm = 1 + 0.2 * normal(random_);
      values.gradient_cosine = 0.5 + 0.05 * normal(random_);
    }
    return frame;
  }

 private:
  const uint32_t ranks_;
  std::mt19937_64 random_{7};
};

// Newcomers of `now` against `before`.
size_t Changes(const std::vector<uint32_t>& before,
               const std::vector<uint32_t>& now) {
  return std::count_if(now.begin(), now.end(), [&](uint32_t rank) {
    return !std::binary_search(before.begin(), before.end(), rank);
  });
}

TEST(ShownRanksTest, SmallWorldsNeedNoChoice) {
  ShownRanks shown;
  Frames large(kMaxRanksWithSeries + 1);
  shown.Take(large.Next());
  EXPECT_THAT(shown.ranks(), SizeIs(kDeviantRanks));
  Frames small(kMaxRanksWithSeries);
  shown.Take(small.Next());
  EXPECT_THAT(shown.ranks(), ElementsAre());
}

// The 16 of one frame alone are others in the next: of 512 exchangeable ranks
// half a rank is in both, on average. The choice stays, over 1,000 frames.
TEST(ShownRanksTest, NoiseDoesNotChangeTheChoice) {
  ShownRanks shown;
  Frames frames(512);
  for (int i = 0; i < 64; ++i) shown.Take(frames.Next());
  size_t changes = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::vector<uint32_t> before = shown.ranks();
    shown.Take(frames.Next());
    ASSERT_THAT(shown.ranks(), SizeIs(kDeviantRanks));
    changes += Changes(before, shown.ranks());
  }
  EXPECT_LE(changes, 3u);
}

TEST(ShownRanksTest, ShowsExactlyThoseThatStayDeviant) {
  ShownRanks shown;
  Frames frames(512);
  for (int i = 0; i < 64; ++i) shown.Take(frames.Next());
  std::vector<uint32_t> deviant;
  for (uint32_t i = 0; i < kDeviantRanks; ++i) deviant.push_back(30 * i + 7);
  for (int i = 0; i < 32; ++i) {
    auto frame = frames.Next();
    for (const uint32_t rank : deviant) {
      auto& values = frame.ranks[rank];
      // Each of the three values counts.
      if (rank % 3 == 0) values.loss = *values.loss + 0.5;
      if (rank % 3 == 1) values.gradient_norm = *values.gradient_norm - 0.9;
      if (rank % 3 == 2) values.gradient_cosine = *values.gradient_cosine - 0.3;
    }
    shown.Take(frame);
  }
  EXPECT_THAT(shown.ranks(), ElementsAreArray(deviant));
}

TEST(ShownRanksTest, GrossAndNonFiniteValuesAreShownAtOnce) {
  ShownRanks shown;
  Frames frames(512);
  for (int i = 0; i < 64; ++i) shown.Take(frames.Next());
  ASSERT_THAT(shown.ranks(), Not(Contains(100)));
  ASSERT_THAT(shown.ranks(), Not(Contains(200)));
  ASSERT_THAT(shown.ranks(), Not(Contains(300)));
  auto frame = frames.Next();
  frame.ranks[100].loss = 1e30;
  frame.ranks[200].loss.reset();
  frame.ranks[200].loss_nonfinite = true;
  frame.ranks[300].nonfinite_count = 3;
  shown.Take(frame);
  for (const uint32_t rank : {100, 200, 300}) {
    EXPECT_THAT(shown.ranks(), Contains(rank));
  }
}

TEST(ShownRanksTest, MissingRanksAreShownUnlessTheyLeftOrNeverCame) {
  ShownRanks shown;
  Frames frames(512);
  const auto without = [&frames](std::vector<uint32_t> absent) {
    auto frame = frames.Next();
    std::erase_if(frame.ranks, [&](const auto& rank) {
      return std::count(absent.begin(), absent.end(), rank.rank) > 0;
    });
    return frame;
  };
  for (int i = 0; i < 64; ++i) shown.Take(without({10}));
  shown.Leave(30);
  for (int i = 0; i < 32; ++i) shown.Take(without({10, 20, 30}));
  EXPECT_THAT(shown.ranks(), Contains(20));
  EXPECT_THAT(shown.ranks(), Not(Contains(10)));
  EXPECT_THAT(shown.ranks(), Not(Contains(30)));
}

TEST(ShownRanksTest, AnotherWorldSizeKeepsNobodyWhoIsGone) {
  ShownRanks shown;
  Frames frames(600), fewer(300);
  for (int i = 0; i < 8; ++i) shown.Take(frames.Next());
  shown.Take(fewer.Next());
  EXPECT_LT(shown.ranks().back(), 300u);
  EXPECT_THAT(shown.ranks(), SizeIs(kDeviantRanks));
}

}  // namespace
}  // namespace muster::runs
