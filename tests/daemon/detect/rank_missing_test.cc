#include "daemon/detect/rank_missing.h"

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

// Ten seconds a step; all reports of a step arrive at once.
frames::Frame MakeFrame(uint64_t step, const Ranks& present,
                        uint32_t world_size = 4) {
  std::vector<frames::Report> reports;
  for (uint32_t rank : present) {
    reports.push_back(testing::MakeReport(rank, step));
  }
  frames::Frame frame =
      testing::MakeFrame(step, std::move(reports), world_size);
  frame.first_arrival = frame.last_arrival = absl::Seconds(10.0 * step);
  frame.closed_at = frame.first_arrival + absl::Seconds(30);
  frame.reason = frame.complete() ? frames::CloseReason::kAllReported
                                  : frames::CloseReason::kTimeout;
  return frame;
}

class RankMissingTest : public ::testing::Test {
 protected:
  RankMissing detector_{DetectOptions{}};
};

TEST_F(RankMissingTest, PresentRanksSayNothing) {
  for (uint64_t step = 0; step < 20; ++step) {
    EXPECT_TRUE(Judge(detector_, MakeFrame(step, {0, 1, 2, 3})).empty());
  }
}

TEST_F(RankMissingTest, FiresAfterThirtySecondsAndClearsOnReturn) {
  Judge(detector_, MakeFrame(0, {0, 1, 2, 3}));
  EXPECT_TRUE(Judge(detector_, MakeFrame(1, {0, 1, 3})).empty());
  EXPECT_TRUE(Judge(detector_, MakeFrame(2, {0, 1, 3})).empty());
  const auto findings = Judge(detector_, MakeFrame(3, {0, 1, 3}));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, Kind::kRankMissing);
  EXPECT_EQ(findings[0].ranks, Ranks{2});
  EXPECT_EQ(findings[0].first_step, 1u);
  EXPECT_EQ(findings[0].last_step, 3u);
  EXPECT_DOUBLE_EQ(findings[0].value, 30);
  EXPECT_DOUBLE_EQ(findings[0].expected, 30);
  EXPECT_EQ(
      findings[0].evidence,
      "Rank 2 has sent no report in time for 3 steps (30.0 seconds), while "
      "3 ranks of 4 went on.");
  const auto cleared = Judge(detector_, MakeFrame(4, {0, 1, 2, 3}));
  ASSERT_EQ(cleared.size(), 1u);
  EXPECT_EQ(cleared[0].phase, Phase::kClear);
  EXPECT_EQ(cleared[0].ranks, Ranks{2});
}

TEST_F(RankMissingTest, NeedsThreeFramesHoweverSlow) {
  Judge(detector_, MakeFrame(0, {0, 1, 2, 3}));
  EXPECT_TRUE(Judge(detector_, MakeFrame(100, {0, 1, 3})).empty());
  EXPECT_TRUE(Judge(detector_, MakeFrame(200, {0, 1, 3})).empty());
  EXPECT_EQ(CountRaises(Judge(detector_, MakeFrame(300, {0, 1, 3}))), 1u);
}

TEST_F(RankMissingTest, NeverSeenRankCountsFromTheFirstFrame) {
  EXPECT_TRUE(Judge(detector_, MakeFrame(0, {0, 1, 3})).empty());
  EXPECT_TRUE(Judge(detector_, MakeFrame(1, {0, 1, 3})).empty());
  EXPECT_TRUE(Judge(detector_, MakeFrame(2, {0, 1, 3})).empty());
  const auto findings = Judge(detector_, MakeFrame(3, {0, 1, 3}));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].first_step, 0u);
}

// The others' last reports arrived soon after the rank's: nobody went on, even
// though the frames are closed half a minute later.
TEST_F(RankMissingTest, DeathOfAllNamesNobody) {
  Judge(detector_, MakeFrame(0, {0, 1, 2, 3}));
  for (uint64_t step = 1; step <= 5; ++step) {
    frames::Frame frame = MakeFrame(step, {0, 1});
    frame.first_arrival = frame.last_arrival = absl::Seconds(step);
    frame.closed_at = frame.first_arrival + absl::Seconds(30);
    EXPECT_TRUE(Judge(detector_, frame).empty());
  }
  EXPECT_TRUE(Take(detector_, frames::Tick{absl::Hours(1)}).empty());
}

TEST_F(RankMissingTest, DepartedRankIsNotMissing) {
  Judge(detector_, MakeFrame(0, {0, 1, 2, 3}));
  Take(detector_, frames::SourceDown{2, 1, frames::DownReason::kDeparted, {}});
  for (uint64_t step = 1; step < 10; ++step) {
    EXPECT_TRUE(Judge(detector_, MakeFrame(step, {0, 1, 3})).empty());
  }
  // It comes back and dies.
  frames::SourceUp up;
  up.info.rank = 2;
  Take(detector_, up);
  Judge(detector_, MakeFrame(10, {0, 1, 2, 3}));
  uint64_t raises = 0;
  for (uint64_t step = 11; step < 15; ++step) {
    raises += CountRaises(Judge(detector_, MakeFrame(step, {0, 1, 3})));
  }
  EXPECT_EQ(raises, 2u);
}

TEST_F(RankMissingTest, DepartureNewAttemptAndEndClear) {
  frames::SourceDown departed{2, 1, frames::DownReason::kDeparted, {}};
  const std::vector<frames::Event> events = {departed, frames::AttemptBegan{},
                                             frames::RunEnded{}};
  for (const frames::Event& event : events) {
    RankMissing detector{DetectOptions{}};
    for (uint64_t step = 0; step < 5; ++step) {
      Judge(detector, MakeFrame(step, {0, 1, 3}));
    }
    const auto findings = Take(detector, event);
    ASSERT_EQ(findings.size(), 1u) << event.index();
    EXPECT_EQ(findings[0].phase, Phase::kClear);
    EXPECT_EQ(findings[0].ranks, Ranks{2});
  }
}

TEST_F(RankMissingTest, FramesCutOffDoNotCount) {
  Judge(detector_, MakeFrame(0, {0, 1, 2, 3}));
  for (uint64_t step = 1; step < 10; ++step) {
    frames::Frame frame = MakeFrame(step, {0});
    frame.reason = step % 2 == 0 ? frames::CloseReason::kSuperseded
                                 : frames::CloseReason::kRunEnded;
    EXPECT_TRUE(Judge(detector_, frame).empty());
  }
}

TEST_F(RankMissingTest, SaysWhetherTheStreamIsDown) {
  Judge(detector_, MakeFrame(0, {0, 1, 2, 3}));
  Take(detector_,
       frames::SourceDown{2, 1, frames::DownReason::kDisconnected, {}});
  std::vector<Finding> findings;
  for (uint64_t step = 1; step < 4; ++step) {
    findings = Judge(detector_, MakeFrame(step, {0, 1, 3}));
  }
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_NE(findings[0].evidence.find("its stream is down"), std::string::npos);
}

}  // namespace
}  // namespace muster::detect
