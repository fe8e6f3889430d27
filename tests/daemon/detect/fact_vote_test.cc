#include "daemon/detect/fact_vote.h"

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

using Ranks = std::vector<uint32_t>;

// One value for each rank from 0 on; "-" is not stated.
std::optional<Disagreement> Find(const std::vector<std::string>& values) {
  std::vector<Vote> votes;
  for (const std::string& value : values) {
    votes.push_back(
        {static_cast<uint32_t>(votes.size()), value == "-" ? nullptr : &value});
  }
  return FindDisagreement("seed", votes);
}

TEST(FactVoteTest, AgreementAndSilenceAreFine) {
  EXPECT_FALSE(Find({}));
  EXPECT_FALSE(Find({"7"}));
  EXPECT_FALSE(Find({"7", "7", "7"}));
  EXPECT_FALSE(Find({"-", "-"}));
}

TEST(FactVoteTest, NamesTheMinority) {
  const auto found = Find({"7", "0", "0", "0"});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ranks, Ranks{0});
  EXPECT_EQ(found->values, 2u);
  EXPECT_EQ(found->evidence,
            "seed differs: \"0\" on ranks 1, 2 and 3; \"7\" on rank 0.");
}

TEST(FactVoteTest, WithoutMajorityNamesAll) {
  EXPECT_EQ(Find({"1", "2"})->ranks, (Ranks{0, 1}));
  EXPECT_EQ(Find({"1", "2", "2", "1"})->ranks, (Ranks{0, 1, 2, 3}));
  EXPECT_EQ(Find({"1", "2", "3", "3"})->ranks, (Ranks{0, 1, 2, 3}));
  EXPECT_EQ(Find({"1", "3", "3"})->ranks, (Ranks{0}));
}

TEST(FactVoteTest, SilentRanksDifferOnlyWhereMostSpeak) {
  EXPECT_FALSE(Find({"7", "-", "-"}));
  EXPECT_FALSE(Find({"7", "-"}));
  const auto found = Find({"7", "7", "-"});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ranks, Ranks{2});
  EXPECT_EQ(found->evidence,
            "seed differs: \"7\" on ranks 0 and 1; (not stated) on rank 2.");
  // Few speak and disagree: those that speak are named.
  EXPECT_EQ(Find({"1", "2", "-", "-", "-"})->ranks, (Ranks{0, 1}));
}

TEST(FactVoteTest, EvidenceIsBounded) {
  std::vector<std::string> values;
  for (int i = 0; i < 100; ++i)
    values.push_back(std::string(300, 'a' + i % 26));
  const auto found = Find(values);
  EXPECT_LT(found->evidence.size(), 1000u);
  EXPECT_NE(found->evidence.find("and 22 more values"), std::string::npos);
}

}  // namespace
}  // namespace muster::detect
