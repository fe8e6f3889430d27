#include "daemon/runs/judge.h"

#include <limits>

#include "gtest/gtest.h"
#include "tests/testing/frame_builder.h"

namespace muster::runs {
namespace {

constexpr absl::Time kWall = absl::FromUnixSeconds(1'700'000'000);

// Ranks 0 and 1 draw the same samples if `alike`.
frames::Frame MakeFrame(uint64_t step, bool alike) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < 3; ++rank) {
    reports.push_back(testing::MakeReport(rank, step));
    reports.back().sample_ids = {3 * step + (alike && rank == 1 ? 0 : rank)};
  }
  return testing::MakeFrame(step, std::move(reports));
}

class JudgeTest : public ::testing::Test {
 protected:
  // Changes of alerts by frames of steps first … last.
  std::vector<alert::Alert> Feed(Judge& judge, uint64_t first, uint64_t last,
                                 bool alike) {
    std::vector<alert::Alert> changes;
    for (uint64_t step = first; step <= last; ++step) {
      judge.TakeFrame(MakeFrame(step, alike), kWall, changes);
    }
    return changes;
  }
};

TEST_F(JudgeTest, GoesOnWithAnAlertThatIsStillTrue) {
  Judge before({}, {});
  const auto fired = Feed(before, 0, 9, true);
  ASSERT_EQ(fired.size(), 1u);
  Judge after({}, {});
  after.Mute();
  EXPECT_TRUE(Feed(after, 5, 9, true).empty());
  EXPECT_TRUE(after.alerts().alive().empty());
  after.Resume(before.alerts().Save(true));
  ASSERT_EQ(after.alerts().alive().size(), 1u);
  // No second incident, and it ends when it did anyway.
  EXPECT_TRUE(Feed(after, 10, 17, true).empty());
  const auto expected =
      (Feed(before, 10, 17, true), Feed(before, 18, 40, false));
  const auto changes = Feed(after, 18, 40, false);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].id, fired[0].id);
  EXPECT_EQ(changes[0].state, alert::State::kResolved);
  ASSERT_EQ(expected.size(), 1u);
  EXPECT_EQ(alert::LogLine("r", changes[0]), alert::LogLine("r", expected[0]));
}

TEST_F(JudgeTest, AnAlertThatNobodyRaisesAnyMoreResolves) {
  Judge before({}, {});
  Feed(before, 0, 9, true);
  Judge after({}, {});
  after.Mute();
  after.Resume(before.alerts().Save(true));
  EXPECT_TRUE(Feed(after, 10, 10 + Judge::kOrphanFrames - 2, false).empty());
  const int patience = alert::AlertOptions().resolve_frames;
  EXPECT_TRUE(Feed(after, 1000, 1000 + patience - 1, false).empty());
  const auto changes = Feed(after, 1000 + patience, 1000 + patience, false);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].id, 1u);
  EXPECT_EQ(changes[0].state, alert::State::kResolved);
  // Numbers go on.
  EXPECT_EQ(Feed(after, 1100, 1110, true).at(0).id, 2u);
}

// The mean loss leaves its band in frames before a restart; evidence that began
// with them is told after it.
TEST_F(JudgeTest, KnowsAfterARestartWhatTheMeanLossDidBefore) {
  const auto feed = [](Judge& judge, uint64_t first, uint64_t last) {
    std::vector<alert::Alert> changes;
    for (uint64_t step = first; step <= last; ++step) {
      frames::Frame frame = MakeFrame(step, step >= 100);
      for (frames::Report& report : frame.reports) {
        report.loss = step == 100   ? 2.8
                      : step == 101 ? -2.8
                                    : step % 2 * 2.0 - 1;
      }
      judge.TakeFrame(frame, kWall, changes);
    }
    return changes;
  };
  Judge before({}, {});
  EXPECT_TRUE(feed(before, 0, 101).empty());
  Judge after({}, {});
  after.Mute();
  feed(after, 0, 101);
  after.Resume(before.alerts().Save(true));
  Judge forgetful({}, {});
  forgetful.Mute();
  feed(forgetful, 100, 101);
  forgetful.Resume(before.alerts().Save(true));
  for (Judge* judge : {&before, &after, &forgetful}) {
    const auto fired = feed(*judge, 102, 102);
    ASSERT_EQ(fired.size(), 1u);
    EXPECT_EQ(fired[0].finding.first_step, 100u);
    EXPECT_EQ(fired[0].silent, judge == &forgetful);
  }
}

TEST_F(JudgeTest, WhoeverWatchesTheLossSeesANanButNotAnOddGradient) {
  for (const bool in_loss : {true, false}) {
    Judge judge({}, {});
    std::vector<alert::Alert> changes;
    for (uint64_t step = 0; step <= 50; ++step) {
      frames::Frame frame = MakeFrame(step, false);
      for (frames::Report& report : frame.reports) report.loss = 1;
      if (step == 50 && in_loss) {
        frame.reports[1].loss = std::numeric_limits<double>::quiet_NaN();
      } else if (step == 50) {
        frame.reports[1].nonfinite_count = 1;
      }
      judge.TakeFrame(frame, kWall, changes);
    }
    ASSERT_EQ(changes.size(), 1u);
    EXPECT_EQ(changes[0].finding.kind, detect::Kind::kNonFinite);
    EXPECT_EQ(changes[0].silent, !in_loss);
  }
}

}  // namespace
}  // namespace muster::runs
