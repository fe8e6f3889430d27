#include "daemon/runs/run.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/runs/registry.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_link.h"
#include "tests/testing/frame_builder.h"

namespace muster::runs {
namespace {

using testing::FakeClock;
using testing::FakeLink;

constexpr uint64_t kIncarnation = 77;

frames::SourceInfo MakeInfo(uint32_t rank, uint32_t world_size,
                            uint64_t incarnation = kIncarnation) {
  return {.rank = rank,
          .world_size = world_size,
          .incarnation = incarnation,
          .sketch = {1, 64, 9},
          .parameter_count = 100,
          .host = "host",
          .pid = 5,
          .client_version = "0.1.0"};
}

// Ranks of one run, driven through the registry as ingest does.
class RunTest : public ::testing::Test {
 protected:
  std::shared_ptr<FakeLink> Open(uint32_t rank, uint32_t world_size,
                                 uint64_t incarnation = kIncarnation,
                                 frames::SketchSpec sketch = {1, 64, 9}) {
    auto link = std::make_shared<FakeLink>();
    frames::SourceInfo info = MakeInfo(rank, world_size, incarnation);
    info.sketch = sketch;
    auto run = registry_.Open(
        "r", {info, std::make_shared<const frames::FactSet>(), link});
    EXPECT_TRUE(run.ok()) << run.status();
    run_ = *run;
    return link;
  }

  void Report(const std::shared_ptr<FakeLink>& link, frames::Report report,
              uint64_t incarnation = kIncarnation) {
    SourceReported message{.rank = report.rank,
                           .incarnation = incarnation,
                           .reports = {},
                           .settled_sequence = report.sequence,
                           .link = link};
    message.reports.push_back(std::move(report));
    run_->Post(std::move(message), 100);
  }

  // Judges all that was posted and gives the last snapshot.
  std::shared_ptr<const RunSnapshot> Finish() {
    registry_.Drain();
    return run_->snapshot();
  }

  FakeClock clock_;
  std::vector<alert::Alert> observed_;
  Registry registry_{{.worker_threads = 1},
                     clock_.clock(),
                     [this](const std::string& run, const alert::Alert& alert) {
                       EXPECT_EQ(run, "r");
                       observed_.push_back(alert);
                     }};
  std::shared_ptr<runs::Run> run_;
};

TEST_F(RunTest, JudgesAFrameWhenAllRanksHaveReported) {
  auto first = Open(0, 2);
  auto second = Open(1, 2);
  Report(first, testing::MakeReport(0, 3, 1.0, {3, 4}));
  Report(second, testing::MakeReport(1, 3, 2.0, {3, 4}));
  const auto snapshot = Finish();
  EXPECT_EQ(first->welcomes(), std::vector<uint64_t>{0});
  EXPECT_EQ(first->acknowledged(), std::vector<uint64_t>{4});
  EXPECT_EQ(snapshot->frames_complete, 1u);
  EXPECT_EQ(snapshot->frames_partial, 0u);
  EXPECT_EQ(snapshot->reports_received, 2u);
  ASSERT_NE(snapshot->newest, nullptr);
  EXPECT_EQ(snapshot->newest->step, 3u);
  EXPECT_DOUBLE_EQ(*snapshot->newest->loss_mean, 1.5);
  EXPECT_EQ(snapshot->state, RunState::kLive);
  EXPECT_EQ(snapshot->attempt, 1u);
  EXPECT_EQ(snapshot->world_size, 2u);
  EXPECT_EQ(snapshot->sources.size(), 2u);
  EXPECT_EQ(snapshot->step_loss_stddev.count, 1u);
  EXPECT_DOUBLE_EQ(snapshot->step_loss_stddev.sum, 0.5);
  EXPECT_EQ(snapshot->store->Range({}, {}, 10).size(), 1u);
}

TEST_F(RunTest, ALargeRunChoosesWhomToShow) {
  constexpr uint32_t kRanks = kMaxRanksWithSeries + 1;
  std::vector<std::shared_ptr<FakeLink>> links;
  for (uint32_t rank = 0; rank < kRanks; ++rank) {
    links.push_back(Open(rank, kRanks));
  }
  for (uint32_t rank = 0; rank < kRanks; ++rank) {
    const double loss = rank == 200 ? 9 : 1 + 0.001 * (rank % 16);
    Report(links[rank], testing::MakeReport(rank, 0, loss));
  }
  // The one that leaves in good order is no longer of interest.
  run_->Post(SourceDeparted{200, kIncarnation}, 100);
  const auto snapshot = Finish();
  ASSERT_EQ(snapshot->frames_complete, 1u);
  EXPECT_EQ(snapshot->shown_ranks.size(), kDeviantRanks);
  EXPECT_FALSE(std::binary_search(snapshot->shown_ranks.begin(),
                                  snapshot->shown_ranks.end(), 200u));
  // 15 and 0 modulo 16 are the ends of the healthy ones.
  EXPECT_TRUE(std::all_of(
      snapshot->shown_ranks.begin(), snapshot->shown_ranks.end(),
      [](uint32_t rank) { return rank % 16 == 15 || rank % 16 == 0; }));
}

TEST_F(RunTest, TellsAllSourcesOfFiringAlerts) {
  auto first = Open(0, 2);
  auto second = Open(1, 2);
  frames::Report report = testing::MakeReport(0, 0, 1.0);
  report.loss = std::numeric_limits<double>::quiet_NaN();
  Report(first, std::move(report));
  Report(second, testing::MakeReport(1, 0, 1.0));
  const auto snapshot = Finish();
  ASSERT_EQ(observed_.size(), 1u);
  EXPECT_EQ(observed_[0].finding.kind, detect::Kind::kNonFinite);
  EXPECT_EQ(observed_[0].finding.ranks, std::vector<uint32_t>{0});
  EXPECT_EQ(observed_[0].state, alert::State::kFiring);
  for (const auto& link : {first, second}) {
    ASSERT_EQ(link->shown().size(), 2u);  // after Welcome, and at the change
    EXPECT_TRUE(link->shown()[0].empty());
    ASSERT_EQ(link->shown()[1].size(), 1u);
    EXPECT_EQ(link->shown()[1][0].finding.kind, detect::Kind::kNonFinite);
  }
  const auto kind = static_cast<size_t>(detect::Kind::kNonFinite);
  EXPECT_EQ(snapshot->alerts_firing[kind], 1u);
  EXPECT_EQ(snapshot->alerts_total[kind], 1u);
}

TEST_F(RunTest, RefusesAnotherSketchAndSaysSoInAnAlert) {
  Open(0, 2);
  auto other = Open(1, 2, kIncarnation, {1, 128, 9});
  Finish();
  EXPECT_TRUE(other->welcomes().empty());
  ASSERT_EQ(other->refusals().size(), 1u);
  EXPECT_EQ(other->refusals()[0].reason, RunRefusal::kSketchMismatch);
  EXPECT_NE(other->refusals()[0].detail.find("width 128"), std::string::npos);
  EXPECT_NE(other->refusals()[0].detail.find("width 64"), std::string::npos);
  ASSERT_EQ(observed_.size(), 1u);
  EXPECT_EQ(observed_[0].finding.kind, detect::Kind::kFactMismatch);
  EXPECT_EQ(observed_[0].finding.ranks, std::vector<uint32_t>{1});
}

TEST_F(RunTest, NewerIncarnationWinsAndTheOlderIsTold) {
  auto older = Open(0, 1, 1);
  auto newer = Open(0, 1, 2);
  Report(older, testing::MakeReport(0, 5, 1.0), 1);
  auto again = Open(0, 1, 1);
  const auto snapshot = Finish();
  EXPECT_EQ(newer->welcomes().size(), 1u);
  EXPECT_TRUE(newer->refusals().empty());
  // Once at the takeover, once for its report.
  ASSERT_EQ(older->refusals().size(), 2u);
  EXPECT_EQ(older->refusals()[0].reason, RunRefusal::kSuperseded);
  EXPECT_EQ(older->refusals()[1].sequence, 6u);
  EXPECT_TRUE(again->welcomes().empty());
  ASSERT_EQ(again->refusals().size(), 1u);
  EXPECT_EQ(again->refusals()[0].reason, RunRefusal::kSuperseded);
  EXPECT_EQ(snapshot->newest, nullptr);
}

TEST_F(RunTest, ReconnectIsWelcomedWithWhatIsKept) {
  auto before = Open(0, 2);
  Report(before, testing::MakeReport(0, 0));
  Report(before, testing::MakeReport(0, 1));
  auto after = Open(0, 2);
  // The old stream's end comes late and must not disconnect the new one.
  run_->Post(SourceDisconnected{0, kIncarnation, before}, 1);
  const auto snapshot = Finish();
  EXPECT_EQ(after->welcomes(), std::vector<uint64_t>{2});
  ASSERT_EQ(snapshot->sources.size(), 1u);
  EXPECT_TRUE(snapshot->sources[0].connected);
}

TEST_F(RunTest, OnlyTheStreamThatWasWelcomedLastSpeaksForASource) {
  auto good = Open(0, 1);
  auto other_sketch = Open(0, 1, kIncarnation, {1, 128, 9});
  Report(other_sketch, testing::MakeReport(0, 1, 1.0));
  auto reconnected = Open(0, 1);
  Report(good, testing::MakeReport(0, 2, 1.0));
  Report(reconnected, testing::MakeReport(0, 3, 1.0));
  const auto snapshot = Finish();
  ASSERT_EQ(other_sketch->refusals().size(), 2u);
  EXPECT_EQ(other_sketch->refusals()[1].reason, RunRefusal::kUnknownSource);
  EXPECT_TRUE(other_sketch->acknowledged().empty());
  ASSERT_EQ(good->refusals().size(), 1u);
  EXPECT_EQ(good->refusals()[0].reason, RunRefusal::kUnknownSource);
  EXPECT_TRUE(reconnected->refusals().empty());
  EXPECT_EQ(snapshot->frames_complete, 1u);
  EXPECT_EQ(snapshot->newest->step, 3u);
}

TEST_F(RunTest, EndsWhenAllRanksDepartAndResolvesItsAlerts) {
  auto first = Open(0, 2);
  auto second = Open(1, 2);
  frames::Report report = testing::MakeReport(0, 0);
  report.nonfinite_count = 3;
  Report(first, std::move(report));
  Report(second, testing::MakeReport(1, 0, 1.0));
  run_->Post(SourceDeparted{0, kIncarnation}, 1);
  run_->Post(SourceDeparted{1, kIncarnation}, 1);
  const auto snapshot = Finish();
  EXPECT_EQ(snapshot->state, RunState::kEnded);
  ASSERT_EQ(observed_.size(), 2u);
  EXPECT_EQ(observed_[1].state, alert::State::kResolved);
}

TEST_F(RunTest, FallsSilentWithoutAnyConnectedSource) {
  auto link = Open(0, 1);
  run_->Post(SourceDisconnected{0, kIncarnation, link}, 1);
  EXPECT_EQ(Finish()->state, RunState::kSilent);
}

TEST_F(RunTest, TimeClosesAFrameThatWaits) {
  auto link = Open(0, 2);
  Report(link, testing::MakeReport(0, 0, 1.0));
  clock_.Advance(absl::Seconds(31));
  registry_.Tick();
  const auto snapshot = Finish();
  EXPECT_EQ(snapshot->frames_partial, 1u);
  ASSERT_NE(snapshot->newest, nullptr);
  EXPECT_EQ(snapshot->newest->ranks_reporting, 1u);
}

// A snapshot of ten thousand ranks costs milliseconds, a report microseconds.
TEST(RunSnapshotTest, ReportsThatCloseNoFrameArePublishedWithTheNextTick) {
  FakeClock clock;
  Executor executor(1);
  auto run = std::make_shared<runs::Run>(
      "r", RunOptions{}, clock.clock(),
      [](const std::string&, const alert::Alert&) {}, executor);
  // Each message has a turn of its own.
  const auto post = [&](Message message) {
    run->Post(std::move(message), 1);
    std::atomic<bool> done{false};
    executor.Schedule([&] { done = true; });
    while (!done) std::this_thread::yield();
    return run->snapshot();
  };
  const auto link = std::make_shared<FakeLink>();
  const auto facts = std::make_shared<const frames::FactSet>();
  const auto report = [&](uint32_t rank, uint64_t step) {
    return SourceReported{.rank = rank,
                          .incarnation = kIncarnation,
                          .reports = {testing::MakeReport(rank, step, 1.0)},
                          .settled_sequence = step,
                          .link = link};
  };
  post(SourceOpened{MakeInfo(0, 2), facts, link});
  const auto opened = post(SourceOpened{MakeInfo(1, 2), facts, link});
  EXPECT_EQ(opened->sources.size(), 2u);
  EXPECT_EQ(post(report(0, 1)), opened);
  EXPECT_EQ(post(report(1, 1))->frames_complete, 1u);
  const auto judged = post(report(0, 2));
  EXPECT_EQ(judged->reports_received, 2u);
  EXPECT_EQ(post(TimePassed{})->reports_received, 3u);
}

TEST(RegistryTest, RefusesRunsAboveTheLimitAndKeepsWhatIsThere) {
  FakeClock clock;
  Registry registry({.max_runs = 2, .worker_threads = 1}, clock.clock(),
                    [](const std::string&, const alert::Alert&) {});
  const auto open = [&](std::string_view run) {
    return registry
        .Open(run, {MakeInfo(0, 1), std::make_shared<const frames::FactSet>(),
                    std::make_shared<FakeLink>()})
        .status();
  };
  EXPECT_TRUE(open("a").ok());
  EXPECT_TRUE(open("b").ok());
  EXPECT_EQ(open("c").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(open("a").ok());
  EXPECT_EQ(registry.Snapshots().size(), 2u);
  EXPECT_EQ(registry.Snapshot("c"), nullptr);
  EXPECT_NE(registry.Snapshot("b"), nullptr);
}

// Waits for the executor by a task of its own: one thread runs them in order.
TEST(RegistryTest, ForgetsEndedRunsAfterTheirTimeOrToMakeRoom) {
  FakeClock clock;
  Registry registry(
      {.max_runs = 1, .worker_threads = 1, .keep_ended = absl::Minutes(1)},
      clock.clock(), [](const std::string&, const alert::Alert&) {});
  const auto open_and_end = [&](std::string_view name) {
    auto run = registry.Open(
        name, {MakeInfo(0, 1), std::make_shared<const frames::FactSet>(),
               std::make_shared<FakeLink>()});
    if (!run.ok()) return false;
    (*run)->Post(SourceDeparted{0, kIncarnation}, 1);
    while ((*run)->snapshot()->state != RunState::kEnded) {
      std::this_thread::yield();
    }
    while (!(*run)->Retire((*run)->snapshot())) std::this_thread::yield();
    return true;
  };
  ASSERT_TRUE(open_and_end("a"));
  ASSERT_TRUE(open_and_end("b"));  // takes the place of "a"
  EXPECT_EQ(registry.Snapshot("a"), nullptr);
  registry.Tick();
  EXPECT_NE(registry.Snapshot("b"), nullptr);
  clock.Advance(absl::Minutes(2));
  registry.Tick();
  EXPECT_EQ(registry.Snapshot("b"), nullptr);
}

// Crashed runs must not lock newcomers out.
TEST(RegistryTest, RunsThatFellSilentMakeRoom) {
  FakeClock clock;
  Registry registry(
      {.max_runs = 1, .worker_threads = 1, .keep_ended = absl::Minutes(1)},
      clock.clock(), [](const std::string&, const alert::Alert&) {});
  const auto open = [&](std::string_view name) {
    auto link = std::make_shared<FakeLink>();
    auto run = registry.Open(
        name,
        {MakeInfo(0, 1), std::make_shared<const frames::FactSet>(), link});
    if (!run.ok()) return false;
    (*run)->Post(SourceDisconnected{0, kIncarnation, link}, 1);
    // Silent is also what a run is before anybody has opened it.
    while ((*run)->snapshot()->sources.empty() ||
           (*run)->snapshot()->state != RunState::kSilent) {
      std::this_thread::yield();
    }
    return true;
  };
  ASSERT_TRUE(open("a"));
  EXPECT_FALSE(open("b"));
  EXPECT_NE(registry.Snapshot("a"), nullptr);
  clock.Advance(absl::Minutes(2));
  bool opened = false;
  // The executor may still hold "a" for a moment after its last snapshot.
  for (int i = 0; i < 10'000 && !opened; ++i) {
    opened = open("b");
    if (!opened) std::this_thread::yield();
  }
  EXPECT_TRUE(opened);
  EXPECT_EQ(registry.Snapshot("a"), nullptr);
}

TEST(RunBackPressureTest, SaysFullAndCallsBackWhenDrained) {
  FakeClock clock;
  Executor executor(1);
  auto run = std::make_shared<runs::Run>(
      "r", RunOptions{.queue_bytes = 1000}, clock.clock(),
      [](const std::string&, const alert::Alert&) {}, executor);
  // Holds the only thread, so that the queue cannot drain.
  std::atomic<bool> release{false};
  executor.Schedule([&] {
    while (!release) std::this_thread::yield();
  });
  EXPECT_EQ(run->Post(TimePassed{}, 600), Posted::kTaken);
  EXPECT_EQ(run->Post(TimePassed{}, 600), Posted::kFull);
  std::atomic<int> called{0};
  run->NotifyWhenDrained([&] { ++called; });
  EXPECT_EQ(called, 0);
  EXPECT_TRUE(run->IsFull());
  EXPECT_FALSE(run->Retire(run->snapshot()));
  release = true;
  executor.Join();
  EXPECT_EQ(called, 1);
  run->NotifyWhenDrained([&] { ++called; });
  EXPECT_EQ(called, 2);
  EXPECT_FALSE(run->IsFull());
  EXPECT_TRUE(run->Retire(run->snapshot()));
  EXPECT_EQ(run->Post(TimePassed{}, 1), Posted::kRetired);
}

// Each message seems to take 30 ms: the clock is read when it is posted, when
// a turn begins and after each message.
TEST(RunTurnTest, ARunWithCostlyMessagesLetsOthersTakeTheirTurn) {
  std::atomic<int64_t> reads{0};
  Clock clock;
  clock.monotonic = [&] { return absl::Milliseconds(30) * ++reads; };
  clock.wall = [] { return absl::UnixEpoch(); };
  Executor executor(1);
  std::atomic<bool> release{false};
  executor.Schedule([&] {
    while (!release) std::this_thread::yield();
  });
  auto run = std::make_shared<runs::Run>(
      "r", RunOptions{}, clock, [](const std::string&, const alert::Alert&) {},
      executor);
  std::vector<std::shared_ptr<FakeLink>> links;
  for (uint32_t rank = 0; rank < 6; ++rank) {
    links.push_back(std::make_shared<FakeLink>());
    run->Post(
        SourceOpened{MakeInfo(rank, 6),
                     std::make_shared<const frames::FactSet>(), links.back()},
        1);
  }
  size_t welcomed = 0;
  executor.Schedule([&] {
    for (const auto& link : links) welcomed += link->welcomes().size();
  });
  release = true;
  executor.Join();
  EXPECT_EQ(welcomed, 2u);
  EXPECT_EQ(run->snapshot()->sources.size(), 6u);
}

TEST(RunRetireTest, RefusesIfTheRunHasChangedSinceItWasSeen) {
  FakeClock clock;
  Executor executor(1);
  auto run = std::make_shared<runs::Run>(
      "r", RunOptions{}, clock.clock(),
      [](const std::string&, const alert::Alert&) {}, executor);
  const auto seen = run->snapshot();
  run->Post(
      SourceOpened{MakeInfo(0, 1), std::make_shared<const frames::FactSet>(),
                   std::make_shared<FakeLink>()},
      1);
  executor.Join();
  EXPECT_FALSE(run->Retire(seen));
  EXPECT_TRUE(run->Retire(run->snapshot()));
}

}  // namespace
}  // namespace muster::runs
