#include "daemon/detect/text.h"

#include <numeric>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

TEST(TextTest, ListsRanksAsPeopleDo) {
  EXPECT_EQ(RankList({}), "no rank");
  EXPECT_EQ(RankList({3}), "rank 3");
  EXPECT_EQ(RankList({0, 5}), "ranks 0 and 5");
  EXPECT_EQ(RankList({0, 5, 7}), "ranks 0, 5 and 7");
  EXPECT_EQ(RankListAtStart({3}), "Rank 3");
}

TEST(TextTest, BoundsLongLists) {
  std::vector<uint32_t> ranks(10000);
  std::iota(ranks.begin(), ranks.end(), 0);
  EXPECT_EQ(RankList(ranks),
            "ranks 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 and "
            "9984 more");
  ranks.resize(17);
  EXPECT_EQ(RankList(ranks),
            "ranks 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 and "
            "16");
}

TEST(TextTest, CountsInTheRightNumber) {
  EXPECT_EQ(Count(1, "step"), "1 step");
  EXPECT_EQ(Count(0, "step"), "0 steps");
  EXPECT_EQ(Count(2, "step"), "2 steps");
}

TEST(TextTest, ShortensBetweenCharacters) {
  EXPECT_EQ(Shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(Shorten("abcdef", 5), "abcde…");
  EXPECT_EQ(Shorten("abß", 3), "ab…");  // ß has two bytes
  EXPECT_EQ(Shorten("\x80\x80", 1), "…");
}

}  // namespace
}  // namespace muster::detect
