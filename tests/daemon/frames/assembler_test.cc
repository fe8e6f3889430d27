// Frames within one attempt: what closes them, what is kept, late, duplicate.
#include "daemon/frames/assembler.h"

#include <gtest/gtest.h>

#include "tests/daemon/frames/assembler_driver.h"

namespace muster::frames {
namespace {

TEST(FrameAssemblerTest, ClosesFrameWhenLastRankReports) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  EXPECT_EQ(run.Told(), (Lines{"up 0/10", "up 1/11", "up 2/12"}));
  EXPECT_EQ(run.Say(2, 12, 5), Admission::kKept);
  EXPECT_EQ(run.Say(0, 10, 5), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"attempt 1 of 3 start"}));
  EXPECT_EQ(run.Say(1, 11, 5), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:5 of 3 all 0 1 2"}));
}

TEST(FrameAssemblerTest, FrameCarriesItsTimesAndEachReportItsFacts) {
  AssemblerDriver run(2);
  run.Hello(0, 10, {{"lr", {"0.1"}}});
  run.Hello(1, 11);
  const Instant start = run.now();
  run.Say(0, 10, 5);
  run.assembler().SetFacts(
      0, 10, std::make_shared<const FactSet>(FactSet{{"lr", {"0.2"}}}));
  run.Say(0, 10, 6);
  run.Wait(absl::Seconds(2));
  run.Say(1, 11, 5);
  run.Say(1, 11, 6);
  std::vector<std::shared_ptr<const Frame>> frames;
  for (const Event& event : run.assembler().TakeEvents()) {
    if (const auto* closed = std::get_if<FrameClosed>(&event)) {
      frames.push_back(closed->frame);
    }
  }
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0]->first_arrival, start);
  EXPECT_EQ(frames[0]->last_arrival, start + absl::Seconds(2));
  EXPECT_EQ(frames[0]->closed_at, start + absl::Seconds(2));
  EXPECT_TRUE(frames[0]->complete());
  EXPECT_EQ(frames[0]->reports[0].facts->at("lr").value, "0.1");
  EXPECT_EQ(frames[1]->reports[0].facts->at("lr").value, "0.2");
  EXPECT_TRUE(frames[1]->reports[1].facts->empty());
}

TEST(FrameAssemblerTest, LaterStepStandsForTheOnesThatARankLeftOut) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.Say(0, 10, 5);
  run.Say(1, 11, 5);
  run.Say(0, 10, 6);
  run.Told();
  EXPECT_EQ(run.Say(2, 12, 7), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:5 of 3 all 0 1"}));
  run.Say(1, 11, 6);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:6 of 3 all 0 1"}));
}

TEST(FrameAssemblerTest, FrameOpenedBehindNewerOnesStillWaitsForTheRest) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.Say(0, 10, 7);
  run.Say(1, 11, 5);  // rank 0 has passed it, rank 2 has not
  run.Say(1, 11, 7);
  run.Told();
  run.Say(2, 12, 7);
  EXPECT_EQ(run.Told(),
            (Lines{"frame 1:5 of 3 all 1", "frame 1:7 of 3 all 0 1 2"}));
}

TEST(FrameAssemblerTest, TimeoutClosesTheFrameAndAllOlderOnes) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.Say(0, 10, 6);
  run.Wait(absl::Seconds(1));
  run.Say(0, 10, 7);
  run.Say(1, 11, 5);
  run.Wait(absl::Seconds(29) - absl::Nanoseconds(1));
  run.Told();
  run.Tick();
  EXPECT_EQ(run.Told(), (Lines{"tick"}));
  run.Wait(absl::Nanoseconds(1));
  run.Tick();
  EXPECT_EQ(run.Told(), (Lines{"frame 1:5 of 3 timeout 1",
                               "frame 1:6 of 3 timeout 0", "tick"}));
  EXPECT_EQ(run.Say(1, 11, 6), Admission::kLate);
  EXPECT_EQ(run.assembler().late_count(), 1u);
  EXPECT_EQ(run.Told(), Lines{});
  EXPECT_EQ(run.Say(1, 11, 7), Admission::kKept);
  EXPECT_EQ(run.Say(2, 12, 7), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:7 of 3 all 0 1 2"}));
}

TEST(FrameAssemblerTest, OverflowClosesTheOldestFrame) {
  AssemblerOptions options;
  options.max_newer_frames = 2;
  options.overflow_after = absl::ZeroDuration();
  AssemblerDriver run(2, options);
  run.HelloAll(10);
  run.Say(0, 10, 1);
  run.Say(0, 10, 2);
  run.Told();
  run.Say(0, 10, 3);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:1 of 2 overflow 0"}));
  run.Say(0, 10, 4);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:2 of 2 overflow 0"}));
  EXPECT_EQ(run.Say(1, 11, 2), Admission::kLate);
}

// After an outage the ranks come back one by one, each with its whole ring.
TEST(FrameAssemblerTest, OverflowWaitsForRanksThatComeBackAfterAnOutage) {
  AssemblerDriver run(2);
  run.Hello(0, 10);
  for (uint64_t step = 1; step <= 200; ++step) run.Say(0, 10, step);
  run.Wait(absl::Seconds(9));
  run.Tick();
  run.Hello(1, 11);
  run.Told();
  for (uint64_t step = 1; step <= 200; ++step) {
    ASSERT_EQ(run.Say(1, 11, step), Admission::kKept) << step;
  }
  const Lines told = run.Told();
  ASSERT_EQ(told.size(), 200u);
  EXPECT_EQ(told.front(), "frame 1:1 of 2 all 0 1");
  EXPECT_EQ(told.back(), "frame 1:200 of 2 all 0 1");
}

TEST(FrameAssemblerTest, OverflowDoesNotWaitBeyondItsTime) {
  AssemblerDriver run(2);
  run.Hello(0, 10);
  for (uint64_t step = 1; step <= 20; ++step) run.Say(0, 10, step);
  run.Told();
  run.Wait(absl::Seconds(10));
  run.Tick();
  EXPECT_EQ(run.Told(),
            (Lines{"frame 1:1 of 2 overflow 0", "frame 1:2 of 2 overflow 0",
                   "frame 1:3 of 2 overflow 0", "frame 1:4 of 2 overflow 0",
                   "tick"}));
}

TEST(FrameAssemblerTest, OverflowDoesNotWaitWhenMemoryRunsOut) {
  AssemblerOptions options;
  options.max_newer_frames = 2;
  options.max_open_bytes = 10 * sizeof(Report);
  AssemblerDriver run(2, options);
  run.Hello(0, 10);
  for (uint64_t step = 1; step <= 10; ++step) run.Say(0, 10, step);
  EXPECT_EQ(run.Told(), (Lines{"up 0/10", "attempt 1 of 2 start"}));
  run.Say(0, 10, 11);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:1 of 2 overflow 0"}));
}

TEST(FrameAssemblerTest, NoFrameIsWaitedForBeyondTheHardLimitOfMemory) {
  AssemblerOptions options;
  options.max_newer_frames = 1000;
  options.max_open_bytes = sizeof(Report);
  AssemblerDriver run(2, options);
  run.Hello(0, 10);
  for (uint64_t step = 1; step <= 8; ++step) run.Say(0, 10, step);
  EXPECT_EQ(run.Told(), (Lines{"up 0/10", "attempt 1 of 2 start"}));
  run.Say(0, 10, 9);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:1 of 2 overflow 0"}));
}

// Facts that stay the same are held once, whatever the number of reports.
TEST(FrameAssemblerTest, FactsCountAsMemoryOfOpenFramesWhenTheyChange) {
  AssemblerOptions options;
  options.max_newer_frames = 2;
  options.max_open_bytes = 10 * sizeof(Report) + 3000;
  AssemblerDriver run(2, options);
  run.Hello(0, 10, {{"name", {std::string(1500, 'x')}}});
  for (uint64_t step = 1; step <= 10; ++step) run.Say(0, 10, step);
  EXPECT_EQ(run.Told(), (Lines{"up 0/10", "attempt 1 of 2 start"}));
  run.assembler().SetFacts(0, 10,
                           std::make_shared<const FactSet>(
                               FactSet{{"name", {std::string(1500, 'y')}}}));
  run.Say(0, 10, 11);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:1 of 2 overflow 0"}));
}

TEST(FrameAssemblerTest, DuplicatesAndGapsOfSequenceAreCounted) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  EXPECT_EQ(run.SayAgain(0, 10, 1, 1), Admission::kKept);
  EXPECT_EQ(run.SayAgain(0, 10, 1, 1), Admission::kDuplicate);
  EXPECT_EQ(run.SayAgain(0, 10, 5, 5), Admission::kKept);
  EXPECT_EQ(run.SayAgain(0, 10, 3, 3), Admission::kDuplicate);
  EXPECT_EQ(run.assembler().duplicate_count(), 2u);
  EXPECT_EQ(run.assembler().dropped_count(), 3u);
  EXPECT_EQ(run.assembler().LastSequence(0, 10), 5u);
  EXPECT_EQ(run.assembler().LastSequence(1, 11), 0u);
  EXPECT_EQ(run.assembler().LastSequence(0, 99), 0u);
  EXPECT_EQ(run.assembler().LastSequence(7, 10), 0u);
  EXPECT_EQ(run.assembler().Sources()[0].dropped, 3u);
  EXPECT_EQ(run.assembler().Sources()[1].dropped, 0u);
}

TEST(FrameAssemblerTest, LateReportsAreSettledToo) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.Say(0, 10, 5);
  run.Wait(absl::Seconds(30));
  run.Tick();
  EXPECT_EQ(run.SayAgain(1, 11, 5, 1), Admission::kLate);
  EXPECT_EQ(run.assembler().LastSequence(1, 11), 1u);
  EXPECT_EQ(run.SayAgain(1, 11, 5, 1), Admission::kDuplicate);
}

TEST(FrameAssemblerTest, SameStepTwiceIsLateAndNoRewind) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.Say(0, 10, 5);
  EXPECT_EQ(run.Say(0, 10, 5), Admission::kLate);
  run.Say(1, 11, 5);
  EXPECT_EQ(run.Say(1, 11, 5), Admission::kLate);
  EXPECT_EQ(run.assembler().attempts().size(), 1u);
}

TEST(FrameAssemblerTest, UnknownSourcesAreRefused) {
  AssemblerDriver run(2);
  EXPECT_EQ(run.Say(0, 10, 5), Admission::kUnknown);
  run.Hello(0, 10);
  EXPECT_EQ(run.Say(0, 99, 5), Admission::kUnknown);
  EXPECT_EQ(run.Say(1, 10, 5), Admission::kUnknown);
  EXPECT_EQ(run.Told(), (Lines{"up 0/10"}));
}

TEST(FrameAssemblerTest, FramesWaitForADisconnectedSource) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.Say(0, 10, 5);
  run.Told();
  run.Disconnect(1, 11);
  run.Disconnect(1, 11);
  EXPECT_EQ(run.Told(), (Lines{"down 1/11 disconnected"}));
  EXPECT_FALSE(run.assembler().Sources()[1].connected);
  EXPECT_EQ(run.Hello(1, 11), Registration::kReconnected);
  EXPECT_EQ(run.Told(), (Lines{"up 1/11"}));
  EXPECT_TRUE(run.assembler().Sources()[1].connected);
  run.Say(1, 11, 5);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:5 of 2 all 0 1"}));
}

TEST(FrameAssemblerTest, DepartedRankIsNotWaitedFor) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.Say(0, 10, 5);
  run.Say(1, 11, 5);
  run.Told();
  run.Goodbye(2, 12);
  EXPECT_EQ(run.Told(),
            (Lines{"down 2/12 departed", "frame 1:5 of 3 all 0 1"}));
  run.Say(0, 10, 6);
  run.Say(1, 11, 6);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:6 of 3 all 0 1"}));
  run.Disconnect(2, 12);
  run.Goodbye(2, 12);
  EXPECT_EQ(run.Told(), Lines{});
}

TEST(FrameAssemblerTest, GoodbyeOfAllRanksEndsTheRun) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.SayAll(10, 5, 5);
  run.Say(1, 11, 6);
  run.Say(2, 12, 8);
  run.Goodbye(1, 11);
  run.Goodbye(2, 12);
  run.Told();
  run.Goodbye(0, 10);
  EXPECT_EQ(run.Told(), (Lines{"down 0/10 departed", "frame 1:6 of 3 ended 1",
                               "frame 1:8 of 3 ended 2", "run ended"}));
}

TEST(FrameAssemblerTest, RunThatWentOnAfterItsEndWaitsForAllRanksAgain) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.SayAll(10, 5, 5);
  for (uint32_t rank = 0; rank < 3; ++rank) run.Goodbye(rank, 10 + rank);
  run.Told();
  run.Hello(1, 21);
  run.Say(1, 21, 6);
  EXPECT_EQ(run.Told(), (Lines{"down 1/11 superseded", "up 1/21"}));
  run.Hello(0, 20);
  run.Hello(2, 22);
  run.Say(0, 20, 6);
  run.Told();
  run.Say(2, 22, 6);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:6 of 3 all 0 1 2"}));
  for (uint32_t rank = 0; rank < 3; ++rank) run.Goodbye(rank, 20 + rank);
  EXPECT_EQ(run.Told().back(), "run ended");
}

// Ranks 0 and 1 left in good order, rank 2 was killed; the job starts again
// and goes on where it was.
TEST(FrameAssemblerTest, RestartedJobWaitsForRanksThatHadDeparted) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.SayAll(10, 5, 5);
  run.Goodbye(0, 10);
  run.Goodbye(1, 11);
  run.Disconnect(2, 12);
  run.Hello(2, 22);
  run.Told();
  run.Say(2, 22, 6);
  run.Hello(0, 20);
  run.Say(0, 20, 6);
  EXPECT_EQ(run.Told(), (Lines{"down 0/10 superseded", "up 0/20"}));
  run.Goodbye(0, 20);  // leaves the new job: rank 1's Hello changes nothing
  run.Hello(1, 21);
  run.Told();
  run.Say(1, 21, 6);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:6 of 3 all 0 1 2"}));
  run.Say(1, 21, 7);
  run.Told();
  run.Say(2, 22, 7);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:7 of 3 all 1 2"}));
}

TEST(FrameAssemblerTest, SourcesAreShownByRank) {
  AssemblerDriver run(3);
  run.Hello(2, 12, {{"seed", {"7"}}});
  run.Hello(0, 10);
  run.Say(2, 12, 5, 3);
  const auto sources = run.assembler().Sources();
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].info.rank, 0u);
  EXPECT_FALSE(sources[0].has_reported);
  EXPECT_EQ(sources[0].attempt, 0u);
  EXPECT_EQ(sources[1].info.incarnation, 12u);
  EXPECT_EQ(sources[1].facts->at("seed").value, "7");
  EXPECT_TRUE(sources[1].has_reported);
  EXPECT_EQ(sources[1].attempt, 1u);
  EXPECT_EQ(sources[1].last_step, 5u);
  EXPECT_EQ(sources[1].last_sequence, 4u);
  EXPECT_EQ(sources[1].dropped, 0u);
  EXPECT_EQ(sources[1].last_arrival, run.now());
}

}  // namespace
}  // namespace muster::frames
