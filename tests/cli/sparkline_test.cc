#include "cli/sparkline.h"

#include <cmath>

#include "gtest/gtest.h"

namespace muster::cli {
namespace {

TEST(SparklineTest, GoesFromTheLowestToTheHighestValue) {
  EXPECT_EQ(Sparkline({0, 1, 2, 3, 4, 5, 6, 7}, 8, Glyphs::kBlocks),
            "▁▂▃▄▅▆▇█");
  EXPECT_EQ(Sparkline({7, 0}, 2, Glyphs::kAscii), "#.");
}

TEST(SparklineTest, KeepsTheNewestAndPadsOnTheLeft) {
  EXPECT_EQ(Sparkline({100, 0, 7}, 2, Glyphs::kAscii), ".#");
  EXPECT_EQ(Sparkline({0, 7}, 4, Glyphs::kAscii), "  .#");
  EXPECT_EQ(Sparkline({1, 2}, 0, Glyphs::kAscii), "");
}

TEST(SparklineTest, LeavesABlankWhereThereIsNoNumber) {
  EXPECT_EQ(Sparkline({0, std::nullopt, NAN, INFINITY, 7}, 5, Glyphs::kAscii),
            ".   #");
}

TEST(SparklineTest, EqualValuesAreLow) {
  EXPECT_EQ(Sparkline({2, 2}, 2, Glyphs::kAscii), "..");
}

TEST(DeviationLineTest, HasAScaleOfItsOwnAndNoSign) {
  EXPECT_EQ(DeviationLine({0, -8, 4, 80}, 8, 4, Glyphs::kAscii), ".#+#");
}

}  // namespace
}  // namespace muster::cli
