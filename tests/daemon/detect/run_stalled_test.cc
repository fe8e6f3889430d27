#include "daemon/detect/run_stalled.h"

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

// Two ranks; the deadline is 60 seconds.
class RunStalledTest : public ::testing::Test {
 protected:
  RunStalledTest() {
    for (uint32_t rank : {0, 1}) Up(rank, 1, 0);
  }
  std::vector<Finding> Up(uint32_t rank, uint64_t incarnation, int64_t at) {
    frames::SourceUp up;
    up.info.rank = rank;
    up.info.incarnation = incarnation;
    up.at = absl::Seconds(at);
    return Take(detector_, up);
  }
  std::vector<Finding> Frame(uint64_t step, int64_t at) {
    frames::Frame frame = testing::MakeFrame(
        step, {testing::MakeReport(0, step), testing::MakeReport(1, step)});
    frame.first_arrival = frame.last_arrival = absl::Seconds(at);
    return Judge(detector_, frame);
  }
  std::vector<Finding> Tick(int64_t at) {
    return Take(detector_, frames::Tick{absl::Seconds(at)});
  }

  static DetectOptions Options() {
    DetectOptions options;
    options.run_stalled_after = absl::Seconds(60);
    return options;
  }
  RunStalled detector_{Options()};
};

TEST_F(RunStalledTest, TellsWhenAllReportsStop) {
  for (int64_t second = 1; second <= 10; ++second) Frame(second, 2 * second);
  EXPECT_TRUE(Tick(79).empty());
  const auto findings = Tick(80);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, Kind::kRunStalled);
  EXPECT_TRUE(findings[0].ranks.empty());
  EXPECT_EQ(findings[0].last_step, 10u);
  EXPECT_EQ(findings[0].value, 60);
  EXPECT_EQ(findings[0].expected, 60);
  EXPECT_EQ(findings[0].evidence,
            "No rank has reported for 60 seconds, since step 10; the longest "
            "pause before was 2.0 seconds. 2 of 2 are connected.");
  EXPECT_EQ(Tick(81).size(), 1u);  // said again
  const auto cleared = Frame(11, 90);
  ASSERT_EQ(cleared.size(), 1u);
  EXPECT_EQ(cleared[0].phase, Phase::kClear);
}

TEST_F(RunStalledTest, LearnsHowLongAPauseIs) {
  Frame(1, 10);
  EXPECT_FALSE(Tick(80).empty());
  Frame(2, 110);  // back after 100 seconds
  EXPECT_TRUE(Tick(110 + 199).empty());
  EXPECT_FALSE(Tick(110 + 200).empty());
  Frame(3, 5000);  // hours count as four deadlines at most
  EXPECT_TRUE(Tick(5000 + 239).empty());
  EXPECT_FALSE(Tick(5000 + 240).empty());
}

TEST_F(RunStalledTest, NeitherBeforeTheFirstFrameNorAfterTheEnd) {
  EXPECT_TRUE(Tick(100000).empty());
  Frame(1, 100001);
  for (uint32_t rank : {0, 1}) {
    Take(detector_,
         frames::SourceDown{.rank = rank,
                            .incarnation = 1,
                            .reason = frames::DownReason::kDeparted});
  }
  Take(detector_, frames::RunEnded{});
  EXPECT_TRUE(Tick(200000).empty());
}

TEST_F(RunStalledTest, TheEndClears) {
  Frame(1, 10);
  EXPECT_FALSE(Tick(100).empty());
  const auto findings = Take(detector_, frames::RunEnded{});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
}

// A restart is given the deadline again, and its pause is not learnt; a stream
// that is opened again by the same process is no sign of life.
TEST_F(RunStalledTest, ANewProcessHasTimeToStart) {
  Frame(1, 10);
  EXPECT_FALSE(Tick(100).empty());
  EXPECT_TRUE(Up(0, 1, 100).empty());
  EXPECT_FALSE(Tick(101).empty());
  EXPECT_EQ(Up(0, 2, 110).size(), 1u);  // clears
  EXPECT_TRUE(Tick(169).empty());
  EXPECT_FALSE(Tick(170).empty());
  Frame(2, 175);
  EXPECT_TRUE(Tick(234).empty());
  EXPECT_FALSE(Tick(235).empty());
}

TEST_F(RunStalledTest, SaysThatNobodyIsConnected) {
  Frame(1, 10);
  for (uint32_t rank : {0, 1}) {
    Take(detector_, frames::SourceDown{.rank = rank, .incarnation = 1});
  }
  const auto findings = Tick(100);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_NE(findings[0].evidence.find("No rank is connected."),
            std::string::npos);
}

}  // namespace
}  // namespace muster::detect
