#include "daemon/detect/source_mismatch.h"

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"

namespace muster::detect {
namespace {

frames::SourceUp Up(uint32_t rank, uint32_t world_size,
                    uint64_t incarnation = 1) {
  frames::SourceUp up;
  up.info.rank = rank;
  up.info.world_size = world_size;
  up.info.incarnation = incarnation;
  return up;
}

frames::Tick At(double seconds) { return {absl::Seconds(seconds)}; }

class SourceMismatchTest : public ::testing::Test {
 protected:
  SourceMismatch detector_{DetectOptions{}};
};

TEST_F(SourceMismatchTest, WorldSizeMismatchNeedsThirtySeconds) {
  for (uint32_t rank = 0; rank < 3; ++rank) Take(detector_, Up(rank, 4));
  Take(detector_, Up(3, 8));
  EXPECT_TRUE(Take(detector_, At(100)).empty());
  EXPECT_TRUE(Take(detector_, At(129.9)).empty());
  const auto findings = Take(detector_, At(130));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, Kind::kFactMismatch);
  EXPECT_EQ(findings[0].subject, "world_size");
  EXPECT_EQ(findings[0].ranks, Ranks{3});
  EXPECT_EQ(findings[0].evidence,
            "world_size differs: \"4\" on ranks 0, 1 and 2; \"8\" on rank 3.");
  // Said again with frames, not with ticks.
  EXPECT_TRUE(Take(detector_, At(131)).empty());
  MeasuredFrame frame(4);
  frame.SetStep(9);
  const auto again = Judge(detector_, frame);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].ranks, Ranks{3});
  EXPECT_EQ(again[0].last_step, 9u);
}

TEST_F(SourceMismatchTest, WorldSizeMismatchClearsWhenSourcesAgree) {
  Take(detector_, Up(0, 4));
  Take(detector_, Up(1, 4));
  Take(detector_, Up(2, 8));
  Take(detector_, At(0));
  EXPECT_EQ(CountRaises(Take(detector_, At(30))), 1u);
  Take(detector_,
       frames::SourceDown{2, 1, frames::DownReason::kDisconnected, {}});
  const auto findings = Take(detector_, At(31));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
  EXPECT_EQ(findings[0].ranks, Ranks{2});
}

TEST_F(SourceMismatchTest, RestartWithAnotherSizeIsNoMismatch) {
  for (uint32_t rank = 0; rank < 4; ++rank) Take(detector_, Up(rank, 4));
  Take(detector_, At(0));
  for (uint32_t rank = 0; rank < 2; ++rank) {
    Take(detector_,
         frames::SourceDown{rank, 1, frames::DownReason::kSuperseded, {}});
    Take(detector_, Up(rank, 2, 2));
    EXPECT_TRUE(Take(detector_, At(10 + rank)).empty());
  }
  for (uint32_t rank = 2; rank < 4; ++rank) {
    Take(detector_,
         frames::SourceDown{rank, 1, frames::DownReason::kDisconnected, {}});
  }
  EXPECT_TRUE(Take(detector_, At(20)).empty());
  EXPECT_TRUE(Take(detector_, At(100)).empty());
}

TEST_F(SourceMismatchTest, ReconnectCountsASourceOnce) {
  Take(detector_, Up(0, 4));
  Take(detector_, Up(0, 4));
  Take(detector_, Up(1, 8));
  Take(detector_,
       frames::SourceDown{0, 1, frames::DownReason::kDisconnected, {}});
  Take(detector_, At(0));
  EXPECT_TRUE(Take(detector_, At(60)).empty());
}

TEST_F(SourceMismatchTest, RefusedSketchIsNamedUntilAccepted) {
  frames::SketchRefused refused;
  refused.rank = 3;
  refused.expected = {1, 1024, 7};
  refused.stated = {1, 512, 7};
  const auto findings = Take(detector_, refused);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].subject, "sketch");
  EXPECT_EQ(findings[0].ranks, Ranks{3});
  EXPECT_EQ(findings[0].evidence,
            "Rank 3 sketches with version 1, width 512, seed 7, this run with "
            "version 1, width 1024, seed 7: its reports are refused.");
  EXPECT_TRUE(Take(detector_, Up(2, 4)).empty());
  const auto cleared = Take(detector_, Up(3, 4));
  ASSERT_EQ(cleared.size(), 1u);
  EXPECT_EQ(cleared[0].phase, Phase::kClear);
  EXPECT_EQ(cleared[0].subject, "sketch");
}

TEST_F(SourceMismatchTest, ContestedRankIsNamedUntilAThirdTakesIt) {
  Take(detector_, Up(3, 4, 0xa));
  Take(detector_, Up(3, 4, 0xb));
  const auto findings =
      Take(detector_, frames::RankContested{3, 0xb, 0xa, absl::Seconds(9)});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].subject, "incarnation");
  EXPECT_EQ(findings[0].ranks, Ranks{3});
  EXPECT_EQ(
      findings[0].evidence,
      "Two live processes claim rank 3: incarnation 000000000000000b, "
      "which counts, and 000000000000000a, which was replaced or refused and "
      "still sends.");
  EXPECT_TRUE(Take(detector_, Up(3, 4, 0xb)).empty());
  const auto cleared = Take(detector_, Up(3, 4, 0xc));
  ASSERT_EQ(cleared.size(), 1u);
  EXPECT_EQ(cleared[0].phase, Phase::kClear);
}

TEST_F(SourceMismatchTest, ContestIsForgottenAfterTenMinutes) {
  Take(detector_, frames::RankContested{3, 0xb, 0xa, absl::Seconds(9)});
  EXPECT_TRUE(Take(detector_, At(600)).empty());
  EXPECT_EQ(Take(detector_, At(609)).size(), 1u);
}

TEST_F(SourceMismatchTest, EndOfTheRunClearsAll) {
  Take(detector_, frames::RankContested{3, 0xb, 0xa, absl::Seconds(9)});
  frames::SketchRefused refused;
  refused.rank = 1;
  Take(detector_, refused);
  const auto findings = Take(detector_, frames::RunEnded{});
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(CountRaises(findings), 0u);
  MeasuredFrame frame(4);
  EXPECT_TRUE(Judge(detector_, frame).empty());
}

TEST_F(SourceMismatchTest, SmallerWorldClearsRanksBeyondIt) {
  Take(detector_, frames::RankContested{3, 0xb, 0xa, {}});
  Take(detector_, frames::RankContested{1, 0xb, 0xa, {}});
  frames::AttemptBegan began;
  began.world_size = 2;
  const auto findings = Take(detector_, began);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].ranks, Ranks{3});
}

}  // namespace
}  // namespace muster::detect
