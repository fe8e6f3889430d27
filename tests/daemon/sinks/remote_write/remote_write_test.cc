#include "daemon/sinks/remote_write/remote_write.h"

#include <snappy.h>

#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "daemon/sinks/remote_write/marks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus_write/write_request.pb.h"
#include "tests/daemon/sinks/remote_write/stored_run.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/http_receiver.h"
#include "tests/testing/temporary_folder.h"

namespace muster::sinks::remote_write {
namespace {

using muster::testing::HttpReceiver;
using muster::testing::kRunBegan;
using muster::testing::ReceivedPost;
using ::testing::ElementsAre;
using ::testing::Pair;

const int64_t kBeganMs = absl::ToUnixMillis(kRunBegan);

// (time, value) of each sample of muster_step in order; ends as -1.
std::vector<std::pair<int64_t, double>> StepsIn(
    const std::vector<ReceivedPost>& posts) {
  std::vector<std::pair<int64_t, double>> steps;
  for (const ReceivedPost& post : posts) {
    std::string plain;
    EXPECT_TRUE(snappy::Uncompress(post.body.data(), post.body.size(), &plain));
    prometheus_write::WriteRequest request;
    EXPECT_TRUE(request.ParseFromString(plain));
    for (const auto& series : request.timeseries()) {
      if (series.labels(0).value() != "muster_step") continue;
      for (const auto& sample : series.samples()) {
        steps.emplace_back(sample.timestamp(),
                           std::isnan(sample.value()) ? -1 : sample.value());
      }
    }
  }
  return steps;
}

std::unique_ptr<RemoteWrite> Start(const HttpReceiver& receiver,
                                   const std::string& history = "") {
  Options options;
  options.endpoint.url = receiver.url();
  options.interval = absl::Milliseconds(10);
  auto remote_write = RemoteWrite::Create(options, history, Clock::System(),
                                          [](bool, const std::string&) {});
  EXPECT_TRUE(remote_write.ok()) << remote_write.status();
  return *std::move(remote_write);
}

void Take(RemoteWrite& remote_write, uint64_t step, absl::Time judged) {
  consistency::Measures measures;
  measures.step = step;
  remote_write.Take("r", 0, 0, judged, &measures);
}

TEST(RemoteWriteTest, StepsOfOneMillisecondAndOfAClockSetBackStayApart) {
  HttpReceiver receiver;
  const auto remote_write = Start(receiver);
  Take(*remote_write, 1, kRunBegan);
  Take(*remote_write, 2, kRunBegan + absl::Microseconds(10));
  Take(*remote_write, 3, kRunBegan - absl::Hours(1));
  Take(*remote_write, 4, kRunBegan + absl::Seconds(1));
  remote_write->Stop(absl::Seconds(30));
  EXPECT_THAT(StepsIn(receiver.posts()),
              ElementsAre(Pair(kBeganMs, 1), Pair(kBeganMs + 1, 2),
                          Pair(kBeganMs + 2, 3), Pair(kBeganMs + 1000, 4)));
  EXPECT_EQ(remote_write->stats().newest_time_ms, kBeganMs + 1000);
  EXPECT_EQ(remote_write->stats().queue_bytes, 0);
  EXPECT_EQ(remote_write->stats().sent, 16u);
}

TEST(RemoteWriteTest, EndsTheSeriesOfARunThatEnded) {
  HttpReceiver receiver;
  const auto remote_write = Start(receiver);
  Take(*remote_write, 1, kRunBegan);
  remote_write->Take("r", 0, 0, kRunBegan, nullptr);
  remote_write->Stop(absl::Seconds(30));
  EXPECT_THAT(StepsIn(receiver.posts()),
              ElementsAre(Pair(kBeganMs, 1), Pair(kBeganMs + 1, -1)));
}

// A daemon that was killed sends the rest, with the times that follow from the
// last one delivered, and knows which series end.
TEST(RemoteWriteTest, GoesOnBehindTheMark) {
  const TemporaryFolder folder;
  const std::string history = folder.File("history.db");
  const std::string marks = history + ".remote_write";
  auto writer = testing::OpenHistory(history);
  const int64_t run = testing::StoreRun(*writer, "r", 4, true);
  writer->Stop();
  const int64_t late = kBeganMs + 60'000;
  ASSERT_TRUE(
      WriteMarks(marks, {.since_ms = 0, .runs = {{"r", {{run, 2}, late}}}})
          .ok());
  HttpReceiver receiver;
  {
    const auto remote_write = Start(receiver, history);
    remote_write->Stop(absl::Seconds(30));
  }
  EXPECT_THAT(
      StepsIn(receiver.posts()),
      ElementsAre(Pair(late + 1, 3), Pair(late + 2, 4), Pair(late + 3, -1)));
  // Positions 1, 2, 4, 5 are steps, 6 is the end.
  EXPECT_EQ(ReadMarks(marks)->runs.at("r"), (Mark{{run, 6}, late + 3}));
  // And then there is nothing more to send.
  HttpReceiver another;
  Start(another, history)->Stop(absl::Seconds(30));
  EXPECT_TRUE(another.posts().empty());
}

// Its places are lower than those of the mark, its times are not.
TEST(RemoteWriteTest, AHistoryThatBeganAnewIsSentFromItsBegin) {
  const TemporaryFolder folder;
  const std::string history = folder.File("history.db");
  auto writer = testing::OpenHistory(history);
  const int64_t run = testing::StoreRun(*writer, "r", 2, false);
  writer->Stop();
  ASSERT_TRUE(WriteMarks(history + ".remote_write",
                         {.since_ms = 0,
                          .runs = {{"r", {{run, 9}, kBeganMs - 60'000}}}})
                  .ok());
  HttpReceiver receiver;
  Start(receiver, history)->Stop(absl::Seconds(30));
  EXPECT_THAT(StepsIn(receiver.posts()),
              ElementsAre(Pair(kBeganMs + 1000, 1), Pair(kBeganMs + 2000, 2)));
}

// Descriptors may have run out, or another process may have the file.
TEST(RemoteWriteTest, WaitsForAHistoryThatCannotBeReadNow) {
  const TemporaryFolder folder;
  const std::string history = folder.File("history.db");
  const std::string away = folder.File("away");
  auto writer = testing::OpenHistory(history);
  const int64_t run = testing::StoreRun(*writer, "r", 4, false);
  writer->Stop();
  ASSERT_TRUE(WriteMarks(history + ".remote_write",
                         {.since_ms = 0,
                          .runs = {{"r", {{run, 0}, kBeganMs - 60'000}}}})
                  .ok());
  HttpReceiver receiver([&](size_t n, const ReceivedPost&) {
    if (n == 0) std::filesystem::rename(history, away);
    return muster::testing::PostAnswer();
  });
  Options options;
  options.endpoint.url = receiver.url();
  options.interval = absl::Milliseconds(10);
  options.batch_samples = 1;
  std::vector<bool> told;
  const auto remote_write = RemoteWrite::Create(
      options, history, Clock::System(), [&](bool failing, const std::string&) {
        if (failing) std::filesystem::rename(away, history);
        told.push_back(failing);
      });
  ASSERT_TRUE(remote_write.ok()) << remote_write.status();
  ASSERT_TRUE(receiver.WaitForPosts(4));
  (*remote_write)->Stop(absl::Seconds(30));
  EXPECT_THAT(StepsIn(receiver.posts()),
              ElementsAre(Pair(kBeganMs + 1000, 1), Pair(kBeganMs + 2000, 2),
                          Pair(kBeganMs + 4000, 3), Pair(kBeganMs + 5000, 4)));
  EXPECT_THAT(told, ElementsAre(true, false));
}

TEST(RemoteWriteTest, BeginsWithWhatIsJudgedFromNowOn) {
  const TemporaryFolder folder;
  const std::string history = folder.File("history.db");
  auto writer = testing::OpenHistory(history);
  testing::StoreRun(*writer, "r", 4, false);
  writer->Stop();
  HttpReceiver receiver;
  Start(receiver, history)->Stop(absl::Seconds(30));
  EXPECT_TRUE(receiver.posts().empty());
}

TEST(RemoteWriteTest, DoesNotWaitForAReceiverThatHangs) {
  HttpReceiver receiver([](size_t, const ReceivedPost&) {
    return muster::testing::PostAnswer{.hangs = true};
  });
  const auto remote_write = Start(receiver);
  Take(*remote_write, 1, kRunBegan);
  ASSERT_TRUE(receiver.WaitForPosts(1));
  Take(*remote_write, 2, kRunBegan);
  remote_write->Stop(absl::ZeroDuration());
  EXPECT_EQ(remote_write->stats().sent, 0u);
}

// Memory of a step without ranks.
int64_t StepBytes() {
  const consistency::Measures measures;
  return MakeStep({}, kRunBegan, &measures, 0).bytes();
}

TEST(RemoteWriteTest, ASilentRunWithAFullQueueDoesNotPushOutTheOthers) {
  HttpReceiver receiver;
  Options options;
  options.endpoint.url = receiver.url();
  options.interval = absl::Hours(1);  // all waits until Stop()
  options.queue_bytes = 10 * StepBytes();
  const auto remote_write = *RemoteWrite::Create(
      options, "", Clock::System(), [](bool, const std::string&) {});
  const auto take = [&](const char* run, uint64_t step) {
    consistency::Measures measures;
    measures.step = step;
    remote_write->Take(run, 0, 0, kRunBegan, &measures);
  };
  for (uint64_t step = 1; step <= 10; ++step) take("silent", step);
  for (uint64_t step = 101; step <= 104; ++step) take("live", step);
  EXPECT_EQ(remote_write->stats().dropped, 5 * 4u);
  remote_write->Stop(absl::Seconds(30));
  std::vector<double> live;
  for (const auto& [time, step] : StepsIn(receiver.posts())) {
    if (step > 100) live.push_back(step);
  }
  EXPECT_THAT(live, ElementsAre(101, 102, 103, 104));
}

// What may be sent again is what a restart begins with.
TEST(RemoteWriteTest, WhatIsKeptToBeSentAgainTakesHalfOfTheMemory) {
  const TemporaryFolder folder;
  const std::string history = folder.File("history.db");
  const std::string marks = history + ".remote_write";
  auto writer = testing::OpenHistory(history);
  const int64_t run = testing::StoreRun(*writer, "r", 9, false);
  writer->Stop();
  ASSERT_TRUE(WriteMarks(marks, {.since_ms = 0, .runs = {}}).ok());
  HttpReceiver receiver;
  Options options;
  options.endpoint.url = receiver.url();
  options.interval = absl::Milliseconds(10);
  options.resend = absl::Minutes(10);
  options.queue_bytes = 4 * StepBytes();
  const auto remote_write = *RemoteWrite::Create(
      options, history, Clock::System(), [](bool, const std::string&) {});
  remote_write->Stop(absl::Seconds(30));
  EXPECT_EQ(StepsIn(receiver.posts()).size(), 9u);
  // Steps 1 … 9 lie at positions 1, 2, 4, … 10; two are kept.
  EXPECT_EQ(ReadMarks(marks)->runs.at("r").place, (Place{run, 8}));
}

TEST(RemoteWriteTest, ForgetsWhatItHasNotHeardOfForLong) {
  testing::FakeClock clock;
  HttpReceiver receiver;
  Options options;
  options.endpoint.url = receiver.url();
  options.interval = absl::Milliseconds(1);
  const auto remote_write = *RemoteWrite::Create(
      options, "", clock.clock(), [](bool, const std::string&) {});
  Take(*remote_write, 1, clock.clock().wall());
  while (remote_write->stats().runs == 0) std::this_thread::yield();
  clock.Advance(absl::Hours(2));
  while (remote_write->stats().runs != 0) std::this_thread::yield();
  Take(*remote_write, 2, clock.clock().wall());
  remote_write->Stop(absl::Seconds(30));
  EXPECT_EQ(StepsIn(receiver.posts()).size(), 2u);
}

TEST(RemoteWriteTest, TellsWhenTimesAreFarAheadOfTheClock) {
  HttpReceiver receiver;
  Options options;
  options.endpoint.url = receiver.url();
  options.interval = absl::Hours(1);
  options.batch_samples = 1;  // a step in a request
  std::vector<std::string> told;
  const auto remote_write = *RemoteWrite::Create(
      options, "", Clock::System(), [&](bool failing, const std::string& line) {
        told.push_back((failing ? "! " : "") + line);
      });
  Take(*remote_write, 1, kRunBegan + absl::Hours(24));
  Take(*remote_write, 2, kRunBegan);
  Take(*remote_write, 3, kRunBegan + absl::Seconds(1));
  Take(*remote_write, 4, kRunBegan + absl::Hours(25));
  remote_write->Stop(absl::Seconds(30));
  EXPECT_THAT(
      told,
      ElementsAre("! remote write: the samples of run 'r' are dated 24h0.001s "
                  "ahead of the clock, which was set back: a receiver takes "
                  "none that are older",
                  "remote write: the samples of run 'r' have the clock's time "
                  "again"));
}

}  // namespace
}  // namespace muster::sinks::remote_write
