// Restarts, rewinds, resizes, and who counts in which attempt.
#include <gtest/gtest.h>

#include "daemon/frames/assembler.h"
#include "tests/daemon/frames/assembler_driver.h"

namespace muster::frames {
namespace {

TEST(AttemptsTest, NewIncarnationVoidsTheReportsOfTheOldOne) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.Say(0, 10, 5);
  run.Say(1, 11, 5);
  run.Say(1, 11, 6);  // alone in its frame
  run.Told();
  EXPECT_EQ(run.Hello(1, 21), Registration::kNew);
  EXPECT_EQ(run.Told(), (Lines{"down 1/11 superseded", "up 1/21"}));
  run.Say(2, 12, 5);
  EXPECT_EQ(run.Told(), Lines{});  // waits for rank 1 again
  EXPECT_EQ(run.Say(1, 21, 7), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:5 of 3 all 0 2"}));
  run.Say(0, 10, 7);
  run.Say(2, 12, 7);
  // Frame 6 had no report left: it never was.
  EXPECT_EQ(run.Told(), (Lines{"frame 1:7 of 3 all 0 1 2"}));
}

TEST(AttemptsTest, SupersededIncarnationIsRefusedForGood) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.Hello(0, 20);
  EXPECT_EQ(run.Hello(0, 10), Registration::kSuperseded);
  EXPECT_EQ(run.Say(0, 10, 5), Admission::kSuperseded);
  EXPECT_EQ(run.assembler().LastSequence(0, 10), 0u);
  run.Told();
  run.Disconnect(0, 10);
  run.Goodbye(0, 10);
  EXPECT_EQ(run.Told(), Lines{});
  run.Hello(0, 30);
  EXPECT_EQ(run.Hello(0, 10), Registration::kSuperseded);
  EXPECT_EQ(run.Hello(0, 20), Registration::kSuperseded);
  EXPECT_EQ(run.Hello(0, 30), Registration::kReconnected);
}

TEST(AttemptsTest, NewestSixtyFourSupersededIncarnationsAreRemembered) {
  AssemblerDriver run(2);
  for (uint64_t incarnation = 1; incarnation <= 66; ++incarnation) {
    run.Hello(0, incarnation);
  }
  EXPECT_EQ(run.Hello(0, 2), Registration::kSuperseded);
  EXPECT_EQ(run.Hello(0, 65), Registration::kSuperseded);
  EXPECT_EQ(run.Hello(0, 1), Registration::kNew);
}

TEST(AttemptsTest, RankIsContestedIfTheOldIncarnationGoesOnSending) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.Hello(0, 20);
  run.Told();
  run.Wait(absl::Seconds(5));
  run.Say(0, 10, 5);
  EXPECT_EQ(run.Told(), Lines{});
  run.Wait(absl::Nanoseconds(1));
  run.Say(0, 10, 6);
  run.Say(0, 10, 7);
  EXPECT_EQ(run.Told(), (Lines{"contested 0/10 by 20"}));
  run.Hello(0, 30);
  run.Told();
  run.Say(0, 10, 8);
  run.Say(0, 20, 8);  // superseded only now
  EXPECT_EQ(run.Told(), (Lines{"contested 0/10 by 30"}));
}

TEST(AttemptsTest, RewindInPlaceWithInterleavedReports) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.SayAll(10, 100, 119);
  run.Say(0, 10, 120);
  run.Told();
  EXPECT_EQ(run.Say(0, 10, 100), Admission::kKept);
  EXPECT_EQ(run.Told(),
            (Lines{"frame 1:120 of 3 superseded 0", "attempt 2 of 3 rewind"}));
  EXPECT_EQ(run.Say(1, 11, 120), Admission::kLate);
  EXPECT_EQ(run.Say(1, 11, 100), Admission::kKept);
  EXPECT_EQ(run.Say(2, 12, 120), Admission::kLate);
  EXPECT_EQ(run.Say(2, 12, 121), Admission::kLate);
  EXPECT_EQ(run.Told(), Lines{});
  EXPECT_EQ(run.Say(2, 12, 100), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"frame 2:100 of 3 all 0 1 2"}));
  EXPECT_EQ(run.assembler().attempts().size(), 2u);
}

TEST(AttemptsTest, SourceThatFollowsBackTooLateIsLateAndNotAnotherRewind) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.SayAll(10, 100, 110);
  run.Say(0, 10, 100);
  run.Wait(absl::Seconds(30));
  run.Tick();
  run.Told();
  EXPECT_EQ(run.Say(1, 11, 100), Admission::kLate);
  EXPECT_EQ(run.Told(), Lines{});
  run.Say(0, 10, 101);
  EXPECT_EQ(run.Say(1, 11, 101), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"frame 2:101 of 2 all 0 1"}));
}

// The others went back to the step at which this one was.
TEST(AttemptsTest, RankThatNeverGotFurtherThanTheRewindRepeatsItsStepAndJoins) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.SayAll(10, 90, 100);
  run.Say(0, 10, 101);
  run.Say(0, 10, 100);
  run.Told();
  EXPECT_EQ(run.Say(1, 11, 100), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"frame 2:100 of 2 all 0 1"}));
  run.SayAll(10, 101, 101);
  EXPECT_EQ(run.Told(), (Lines{"frame 2:101 of 2 all 0 1"}));
}

TEST(AttemptsTest, OneRankThatGoesBackAloneDoesNotLoseTheOthersForEver) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.SayAll(10, 100, 110);
  run.Say(2, 12, 5);
  EXPECT_EQ(run.Told().back(), "attempt 2 of 3 rewind");
  run.Wait(absl::Seconds(29));
  EXPECT_EQ(run.Say(0, 10, 111), Admission::kLate);
  EXPECT_EQ(run.Say(1, 11, 111), Admission::kLate);
  run.Wait(absl::Seconds(1));
  EXPECT_EQ(run.Say(0, 10, 112), Admission::kKept);
  EXPECT_EQ(run.Say(1, 11, 112), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"frame 2:5 of 3 all 2"}));
  run.Wait(absl::Seconds(30));
  run.Tick();
  EXPECT_EQ(run.Told(), (Lines{"frame 2:112 of 3 timeout 0 1", "tick"}));
}

// It comes back from a long outage with all that it has kept.
TEST(AttemptsTest, BacklogFromBeforeARewindIsLateHoweverLateItComes) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.SayAll(10, 100, 110);
  run.Disconnect(1, 11);
  run.Say(0, 10, 100);
  run.Wait(absl::Minutes(5));
  run.Hello(1, 11);
  run.Told();
  EXPECT_EQ(run.Say(1, 11, 111), Admission::kLate);
  EXPECT_EQ(run.Say(1, 11, 100), Admission::kKept);
  EXPECT_EQ(run.Told(), (Lines{"frame 2:100 of 2 all 0 1"}));
}

TEST(AttemptsTest, RankThatDepartedBeforeARewindIsNotWaitedForAfterIt) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.SayAll(10, 1, 3);
  run.Goodbye(2, 12);
  run.Say(0, 10, 1);
  run.Told();
  run.Say(1, 11, 1);
  EXPECT_EQ(run.Told(), (Lines{"frame 2:1 of 3 all 0 1"}));
  run.Goodbye(0, 10);
  run.Goodbye(1, 11);
  EXPECT_EQ(run.Told().back(), "run ended");
}

TEST(AttemptsTest, RestartThatGoesOnAtAnOpenStepStaysInTheAttempt) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.SayAll(10, 1, 4);
  run.Say(0, 10, 5);
  run.HelloAll(20);
  run.Told();
  run.SayAll(20, 5, 5);
  EXPECT_EQ(run.Told(), (Lines{"frame 1:5 of 2 all 0 1"}));
}

TEST(AttemptsTest, FirstReportOfANewRankAtAClosedStepIsOnlyLate) {
  AssemblerDriver run(2);
  run.Hello(0, 10);
  run.Say(0, 10, 5);
  run.Wait(absl::Seconds(30));
  run.Tick();
  run.Hello(1, 11);
  EXPECT_EQ(run.Say(1, 11, 5), Admission::kLate);
  EXPECT_EQ(run.assembler().attempts().size(), 1u);
}

// Eight ranks are killed with step 120 half reported, come back from a
// checkpoint at step 100, are killed again, and come back as six.
TEST(AttemptsTest, KilledRestartedFromCheckpointThenResized) {
  AssemblerDriver run(8);
  run.HelloAll(10);
  run.SayAll(10, 100, 119);
  for (uint32_t rank = 0; rank < 5; ++rank) run.Say(rank, 10 + rank, 120);
  for (uint32_t rank = 0; rank < 8; ++rank) run.Disconnect(rank, 10 + rank);
  run.Wait(absl::Seconds(10));
  run.Told();

  // Two of them report before the others have said Hello.
  run.Hello(0, 20);
  run.Hello(1, 21);
  EXPECT_EQ(run.Say(1, 21, 100), Admission::kKept);
  EXPECT_EQ(run.Say(0, 20, 100), Admission::kKept);
  EXPECT_EQ(run.Told(),
            (Lines{"down 0/10 superseded", "up 0/20", "down 1/11 superseded",
                   "up 1/21", "frame 1:120 of 8 superseded 2 3 4",
                   "attempt 2 of 8 restart"}));
  for (uint32_t rank = 2; rank < 8; ++rank) run.Hello(rank, 20 + rank);
  for (uint32_t rank = 2; rank < 7; ++rank) run.Say(rank, 20 + rank, 100);
  run.Told();
  run.Say(7, 27, 100);
  EXPECT_EQ(run.Told(), (Lines{"frame 2:100 of 8 all 0 1 2 3 4 5 6 7"}));
  run.SayAll(20, 101, 129);
  run.Say(3, 23, 130);
  run.Say(7, 27, 130);
  EXPECT_EQ(run.Told().size(), 29u);

  run.set_world_size(6);
  run.HelloAll(30);
  run.Told();
  run.SayAll(30, 110, 111);
  EXPECT_EQ(run.Told(), (Lines{"frame 2:130 of 8 superseded 7",
                               "attempt 3 of 6 resize changed",
                               "frame 3:110 of 6 all 0 1 2 3 4 5",
                               "frame 3:111 of 6 all 0 1 2 3 4 5"}));
  for (uint32_t rank = 0; rank < 6; ++rank) run.Goodbye(rank, 30 + rank);
  EXPECT_EQ(run.Told().back(), "run ended");

  const auto& attempts = run.assembler().attempts();
  ASSERT_EQ(attempts.size(), 3u);
  EXPECT_EQ(attempts[0].first_step, 100u);
  EXPECT_EQ(attempts[0].last_step, 120u);
  EXPECT_EQ(attempts[0].frames, 21u);
  EXPECT_TRUE(attempts[0].superseded);
  EXPECT_EQ(attempts[0].cause, AttemptCause::kStart);
  EXPECT_EQ(attempts[1].first_step, 100u);
  EXPECT_EQ(attempts[1].last_step, 130u);
  EXPECT_EQ(attempts[1].frames, 31u);
  EXPECT_TRUE(attempts[1].superseded);
  EXPECT_EQ(attempts[1].cause, AttemptCause::kRestart);
  EXPECT_EQ(attempts[2].attempt, 3u);
  EXPECT_EQ(attempts[2].world_size, 6u);
  EXPECT_EQ(attempts[2].first_step, 110u);
  EXPECT_EQ(attempts[2].last_step, 111u);
  EXPECT_FALSE(attempts[2].superseded);
  EXPECT_EQ(attempts[2].cause, AttemptCause::kResize);
}

// A restart whose ranks all say Hello first leaves nothing of the half-made
// frame; a second restart from the same step is a third attempt.
TEST(AttemptsTest, RestartTwiceFromOneCheckpoint) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  run.SayAll(10, 1, 6);
  run.Say(0, 10, 7);
  for (uint64_t base : {20, 30}) {
    run.HelloAll(base);
    run.Told();
    run.SayAll(base, 4, 5);
    const std::string attempt = std::to_string(base / 10);
    EXPECT_EQ(run.Told(), (Lines{"attempt " + attempt + " of 2 restart",
                                 "frame " + attempt + ":4 of 2 all 0 1",
                                 "frame " + attempt + ":5 of 2 all 0 1"}));
  }
}

TEST(AttemptsTest, RankOfALargerWorldCannotFollowIntoASmallerOne) {
  AssemblerDriver run(3);
  run.HelloAll(10);
  run.SayAll(10, 1, 6);
  run.set_world_size(2);
  run.HelloAll(20);
  run.SayAll(20, 4, 4);
  run.Told();
  EXPECT_EQ(run.Say(2, 12, 3), Admission::kLate);
  EXPECT_EQ(run.Say(2, 12, 5), Admission::kLate);
  run.Goodbye(2, 12);
  run.SayAll(20, 5, 5);
  EXPECT_EQ(run.Told(),
            (Lines{"down 2/12 departed", "frame 2:5 of 2 all 0 1"}));
  EXPECT_EQ(run.assembler().attempts().size(), 2u);
}

// The daemon was restarted: it knows nothing, the sources come back with what
// was not acknowledged.
TEST(AttemptsTest, EmptyAssemblerTakesSourcesInTheMiddleOfTheirRun) {
  AssemblerDriver run(2);
  run.HelloAll(10);
  EXPECT_EQ(run.SayAgain(0, 10, 499, 500), Admission::kKept);
  EXPECT_EQ(run.SayAgain(0, 10, 500, 501), Admission::kKept);
  EXPECT_EQ(run.SayAgain(1, 11, 498, 499), Admission::kKept);
  EXPECT_EQ(run.SayAgain(1, 11, 499, 500), Admission::kKept);
  EXPECT_EQ(run.SayAgain(1, 11, 500, 501), Admission::kKept);
  EXPECT_EQ(run.Told(),
            (Lines{"up 0/10", "up 1/11", "attempt 1 of 2 start",
                   "frame 1:498 of 2 all 1", "frame 1:499 of 2 all 0 1",
                   "frame 1:500 of 2 all 0 1"}));
  EXPECT_EQ(run.assembler().dropped_count(), 0u);
}

TEST(AttemptsTest, NewestAttemptsAreKept) {
  AssemblerDriver run(1);
  run.Hello(0, 10);
  run.Say(0, 10, 9);
  for (int rewinds = 0; rewinds < 150; ++rewinds) {
    run.Say(0, 10, 8);
    run.Say(0, 10, 9);
    run.Say(0, 10, 7);
    run.Say(0, 10, 9);
  }
  const auto& attempts = run.assembler().attempts();
  ASSERT_EQ(attempts.size(), 256u);
  EXPECT_EQ(attempts.front().attempt, 46u);
  EXPECT_EQ(attempts.back().attempt, 301u);
  EXPECT_FALSE(attempts.back().superseded);
}

}  // namespace
}  // namespace muster::frames
