#include "daemon/detect/standing_ranks.h"

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"

namespace muster::detect {
namespace {

TEST(StandingRanksTest, GoesOnWithThoseThatItNames) {
  StandingRanks standing(Kind::kReplicaDrift, "parameters");
  EXPECT_FALSE(standing.stands());
  std::vector<Finding> out;
  standing.Raise({.ranks = {1, 4}, .value = 2, .expected = 1, .evidence = "x"},
                 3, 10, out);
  standing.Raise({.ranks = {4}}, 3, 12, out);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].kind, Kind::kReplicaDrift);
  EXPECT_EQ(out[0].subject, "parameters");
  EXPECT_EQ(out[0].attempt, 3u);
  EXPECT_EQ(out[0].value, 2);
  EXPECT_EQ(out[0].expected, 1);
  EXPECT_EQ(out[0].evidence, "x");
  EXPECT_EQ(out[1].ranks, (Ranks{1, 4}));
  EXPECT_EQ(out[1].first_step, 10u);
  EXPECT_EQ(out[1].last_step, 12u);
}

TEST(StandingRanksTest, AnotherRankTakesItsPlace) {
  StandingRanks standing(Kind::kReplicaDrift, "parameters");
  std::vector<Finding> out;
  standing.Raise({.ranks = {1}}, 1, 10, out);
  standing.Raise({.ranks = {1, 2}}, 1, 11, out);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[1].phase, Phase::kReplaced);
  EXPECT_EQ(out[1].ranks, (Ranks{1}));
  EXPECT_EQ(out[2].phase, Phase::kRaise);
  EXPECT_EQ(out[2].ranks, (Ranks{1, 2}));
  EXPECT_EQ(out[2].first_step, 10u);
}

TEST(StandingRanksTest, TheRunAsAWholeCoversEachRank) {
  StandingRanks standing(Kind::kReplicaDrift, "parameters");
  std::vector<Finding> out;
  standing.Raise({.ranks = {1}}, 1, 10, out);
  standing.Raise({}, 1, 11, out);
  standing.Raise({.ranks = {5}}, 1, 12, out);
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[1].phase, Phase::kReplaced);
  EXPECT_EQ(out[2].ranks, Ranks{});
  EXPECT_EQ(out[3].ranks, Ranks{});
  EXPECT_EQ(out[3].phase, Phase::kRaise);
}

TEST(StandingRanksTest, ClearsOnce) {
  StandingRanks standing(Kind::kReplicaDrift, "parameters");
  std::vector<Finding> out;
  standing.Clear(1, 9, out);
  EXPECT_TRUE(out.empty());
  standing.Raise({.ranks = {1}}, 1, 10, out);
  EXPECT_EQ(standing.ranks(), (Ranks{1}));
  standing.Clear(1, 11, out);
  standing.Clear(1, 12, out);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1].phase, Phase::kClear);
  EXPECT_EQ(out[1].last_step, 11u);
  standing.Raise({.ranks = {1}}, 1, 20, out);
  EXPECT_EQ(out[2].first_step, 20u);
}

}  // namespace
}  // namespace muster::detect
