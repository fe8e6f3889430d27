#include "daemon/relay/line.h"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/mutex.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temporary_folder.h"

namespace muster::relay {
namespace {

// One stream, as upstream sees it.
struct FakeStream {
  std::vector<std::string> via;
  StreamEvents events;
  std::vector<v1::ClientMessage> received;
  bool finished = false;
  bool given_up = false;
  int answered = 0;  // of `received`
};

class FakeUpstream : public Upstream {
 public:
  std::unique_ptr<UpstreamStream> Open(const std::vector<std::string>& via,
                                       StreamEvents events) override {
    auto stream = std::make_shared<FakeStream>();
    stream->via = via;
    stream->events = std::move(events);
    streams.push_back(stream);
    return std::make_unique<Handle>(stream);
  }

  std::vector<std::shared_ptr<FakeStream>> streams;

 private:
  class Handle : public UpstreamStream {
   public:
    explicit Handle(std::shared_ptr<FakeStream> stream)
        : stream_(std::move(stream)) {}
    ~Handle() override { stream_->given_up = true; }
    void Write(std::string message) override {
      EXPECT_TRUE(stream_->received.emplace_back().ParseFromString(message));
      stream_->events.written();
    }
    void FinishSending() override { stream_->finished = true; }

   private:
    const std::shared_ptr<FakeStream> stream_;
  };
};

// One rank's end of its own stream.
struct Rank {
  uint64_t token = 0;
  std::shared_ptr<ingest::Outbox> outbox;

  std::vector<std::string> Answers() {
    std::vector<std::string> answers;
    while (auto message = outbox->Take().message) {
      if (message->has_welcome()) {
        answers.push_back("welcome " +
                          std::to_string(message->welcome().sequence()));
      } else if (message->has_ack()) {
        answers.push_back("ack " + std::to_string(message->ack().sequence()));
      } else if (message->has_refusal()) {
        answers.push_back("refusal " +
                          v1::RefusalReason_Name(message->refusal().reason()));
      } else {
        answers.push_back("alerts " +
                          std::to_string(message->alerts().alerts_size()));
      }
    }
    return answers;
  }
};

using Strings = std::vector<std::string>;

class LineTest : public ::testing::Test {
 protected:
  Rank Come(uint32_t rank, uint64_t incarnation = 1,
            const std::string& fact = "") {
    Rank come{++tokens_, std::make_shared<ingest::Outbox>([] {})};
    v1::Hello hello;
    hello.set_run("run");
    hello.set_source(1);
    hello.set_rank(rank);
    hello.set_world_size(4);
    hello.set_incarnation(incarnation);
    if (!fact.empty()) hello.add_facts()->set_name(fact);
    line_->Open({come.token, hello, come.outbox, {}});
    return come;
  }

  void Say(const Rank& rank, uint64_t first, uint64_t last) {
    std::vector<ReportBytes> reports;
    for (uint64_t sequence = first; sequence <= last; ++sequence) {
      v1::StepReport report;
      report.set_sequence(sequence);
      report.set_step(sequence);
      reports.push_back({sequence, report.SerializeAsString()});
    }
    line_->Report(rank.token, std::move(reports), last);
  }

  // Lets time pass, with upstream answering as a daemon does unless it is deaf.
  void Work(absl::Duration time = absl::Milliseconds(100)) {
    const absl::Time end = clock_.clock().wall() + time;
    for (;;) {
      for (int i = 0; i < 20; ++i) {
        line_->Advance();
        RunPosted();
        if (!deaf_ && !upstream_.streams.empty()) Answer();
        RunPosted();
      }
      if (clock_.clock().wall() >= end) return;
      clock_.Advance(absl::Milliseconds(5));
    }
  }

  void RunPosted() {
    for (;;) {
      std::function<void()> action;
      {
        MutexLock lock(mutex_);
        if (posted_.empty()) return;
        action = std::move(posted_.front());
        posted_.pop_front();
      }
      action();
    }
  }

  // Waits for the spool's thread.
  void WorkUntil(const std::function<bool()>& done) {
    while (!done()) {
      Work(absl::Milliseconds(5));
      MutexLock lock(mutex_);
      if (posted_.empty()) {
        came_.wait_for(mutex_, std::chrono::milliseconds(1));
      }
    }
  }

  void Answer() {
    const std::shared_ptr<FakeStream> stream = upstream_.streams.back();
    if (stream->given_up) return;
    while (stream->answered < static_cast<int>(stream->received.size())) {
      const v1::ClientMessage message =
          stream->received[static_cast<size_t>(stream->answered++)];
      v1::ServerMessage answer;
      if (message.has_hello()) {
        const auto& hello = message.hello();
        names_[hello.source()] = {hello.rank(), hello.incarnation()};
        answer.mutable_welcome()->set_source(hello.source());
        answer.mutable_welcome()->set_sequence(
            kept_[{hello.rank(), hello.incarnation()}]);
        stream->events.message(answer);
      } else if (message.has_reports()) {
        for (const auto& report : message.reports().reports()) {
          uint64_t& kept = kept_[names_[report.source()]];
          if (report.sequence() > kept) {
            kept = report.sequence();
            judged_.push_back(
                {names_[report.source()].first, report.sequence()});
          }
          answer.mutable_ack()->set_source(report.source());
          answer.mutable_ack()->set_sequence(report.sequence());
          stream->events.message(answer);
        }
      }
    }
    if (stream->finished) {
      stream->finished = false;
      stream->events.closed({.done = true});
    }
  }

  void Break() {
    upstream_.streams.back()->events.closed({.why = "gone"});
    RunPosted();
  }

  // What upstream has been told, a word for each message of a kind.
  Strings Told(size_t stream) {
    Strings told;
    for (const auto& message : upstream_.streams.at(stream)->received) {
      if (message.has_hello()) {
        told.push_back("hello " + std::to_string(message.hello().rank()) + "." +
                       std::to_string(message.hello().incarnation()) +
                       (message.hello().facts_size() > 0
                            ? " " + message.hello().facts(0).name()
                            : ""));
      } else if (message.has_reports()) {
        std::string all = "reports";
        for (const auto& report : message.reports().reports()) {
          all += " " + std::to_string(report.sequence());
        }
        told.push_back(all);
      } else if (message.has_facts()) {
        told.push_back("facts " + message.facts().facts(0).name());
      } else if (message.has_goodbye()) {
        told.push_back("goodbye " + message.goodbye().reason());
      } else {
        told.push_back("disconnected");
      }
    }
    return told;
  }

  void UseSpool(size_t max_bytes = 1 << 20) {
    spool_ = std::make_unique<Spool>(
        SpoolOptions{folder_.File("spool"), max_bytes, absl::Hours(1)},
        clock_.clock().wall,
        SpoolEvents{.dropped = [](auto&&...) {},
                    .lost = [](uint64_t) {},
                    .log = [](bool, const std::string&) {}});
    around_.spool = spool_.get();
    const std::vector<SpooledRun> found = spool_->TakeFound();
    next_id_ = spool_->next_id();
    next_number_ = spool_->next_number();
    line_ = std::make_unique<Line>("run", around_);
    if (!found.empty()) line_->Continue(found[0]);
  }

  // Ten reports go to the spool; then another relay finds its file.
  void SpoolTenAndStartAgain(const Rank& rank) {
    Work();
    Break();
    Say(rank, 1, 10);
    Work(absl::Milliseconds(100));
    WorkUntil([&] { return line_->log().memory_entries() == 0; });
    line_ = nullptr;
    spool_ = nullptr;
    deaf_ = false;
    UseSpool();
  }

  uint64_t Dropped(Where where) {
    return counts_.dropped[static_cast<size_t>(where)];
  }

  TemporaryFolder folder_;
  testing::FakeClock clock_;
  const Clock time_ = clock_.clock();
  Options options_;
  Counts counts_;
  FakeUpstream upstream_;
  UpstreamState state_ = UpstreamState::kIdle;
  int64_t next_id_ = 1;
  uint32_t next_number_ = 1;
  uint64_t tokens_ = 0;
  bool deaf_ = false;
  // Of (rank, incarnation).
  std::map<std::pair<uint32_t, uint64_t>, uint64_t> kept_;
  std::map<uint32_t, std::pair<uint32_t, uint64_t>> names_;
  std::vector<std::pair<uint32_t, uint64_t>> judged_;
  Mutex mutex_;
  CondVar came_;
  std::deque<std::function<void()>> posted_;
  Surroundings around_{.options = options_,
                       .clock = time_,
                       .upstream = upstream_,
                       .counts = counts_,
                       .id = "me",
                       .next_id = [this] { return next_id_++; },
                       .next_number = [this] { return next_number_++; },
                       .random = [] { return 1.0; },
                       .tell = [this](UpstreamState state,
                                      const std::string&) { state_ = state; },
                       .post =
                           [this](std::function<void()> action) {
                             {
                               MutexLock lock(mutex_);
                               posted_.push_back(std::move(action));
                             }
                             came_.notify_one();
                           }};
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<Line> line_ = std::make_unique<Line>("run", around_);
};

TEST_F(LineTest, PassesReportsAndAnswers) {
  Rank zero = Come(0, 1, "seed");
  Rank one = Come(1);
  Work();
  EXPECT_EQ(zero.Answers(), Strings{"welcome 0"});
  EXPECT_EQ(one.Answers(), Strings{"welcome 0"});
  EXPECT_EQ(state_, UpstreamState::kUp);
  EXPECT_EQ(upstream_.streams[0]->via, Strings{"me"});
  Say(zero, 1, 2);
  Say(one, 1, 1);
  Work();
  EXPECT_EQ(Told(0), (Strings{"hello 0.1 seed", "hello 1.1", "reports 1 2 1"}));
  EXPECT_EQ(zero.Answers(), Strings{"ack 2"});
  EXPECT_EQ(one.Answers(), Strings{"ack 1"});
  EXPECT_EQ(counts_.forwarded, 3u);
  EXPECT_EQ(line_->log().memory_entries(), 0u);
}

TEST_F(LineTest, ReportsWaitForOthers) {
  Rank rank = Come(0);
  Work();
  Say(rank, 1, 1);
  Work(absl::ZeroDuration());
  EXPECT_EQ(Told(0), Strings{"hello 0.1"});
  clock_.Advance(absl::Milliseconds(4));
  Say(rank, 2, 2);
  Work(absl::ZeroDuration());
  EXPECT_EQ(Told(0), Strings{"hello 0.1"});
  clock_.Advance(absl::Milliseconds(1));
  Work(absl::ZeroDuration());
  EXPECT_EQ(Told(0), (Strings{"hello 0.1", "reports 1 2"}));
}

TEST_F(LineTest, SendsAgainWhatIsNotAcknowledged) {
  Rank rank = Come(0);
  Work();
  deaf_ = true;
  Say(rank, 1, 3);
  Work();
  Break();
  EXPECT_EQ(state_, UpstreamState::kAway);
  EXPECT_EQ(counts_.upstream_failures, 1u);
  kept_[{0, 1}] = 2;  // of which the acknowledgement was lost
  Say(rank, 4, 4);
  deaf_ = false;
  Work(absl::Seconds(1));
  EXPECT_EQ(Told(1), (Strings{"hello 0.1", "reports 3 4"}));
  EXPECT_EQ(rank.Answers().back(), "ack 4");
  EXPECT_EQ(counts_.forwarded, 4u);
  EXPECT_TRUE(line_->log().empty());
}

TEST_F(LineTest, FactsGoBeforeTheReportsThatTheyHoldFor) {
  Rank rank = Come(0, 1, "first");
  Work();
  Say(rank, 1, 1);
  v1::Facts facts;
  facts.add_facts()->set_name("second");
  line_->State(rank.token, facts.SerializeAsString());
  Say(rank, 2, 2);
  Work();
  const Strings once = {"hello 0.1 first", "reports 1", "facts second",
                        "reports 2"};
  EXPECT_EQ(Told(0), once);
  // Sent again, each report still has its own.
  deaf_ = true;
  Say(rank, 3, 3);
  facts.mutable_facts(0)->set_name("third");
  line_->State(rank.token, facts.SerializeAsString());
  Say(rank, 4, 4);
  Work();
  Break();
  deaf_ = false;
  Work(absl::Seconds(1));
  EXPECT_EQ(Told(1), (Strings{"hello 0.1 second", "reports 3", "facts third",
                              "reports 4"}));
}

TEST_F(LineTest, GoodbyeComesAfterTheReports) {
  Rank rank = Come(0);
  Say(rank, 1, 2);
  v1::Goodbye goodbye;
  goodbye.set_reason("closed");
  line_->Depart(rank.token, goodbye.SerializeAsString());
  Work(absl::Seconds(3));
  EXPECT_EQ(Told(0), (Strings{"hello 0.1", "reports 1 2", "goodbye closed"}));
  EXPECT_TRUE(line_->finished());
}

TEST_F(LineTest, TellsOfARankThatIsGone) {
  Rank gone = Come(0);
  Rank other = Come(1);
  Work();
  line_->Disconnect(gone.token);
  Work(absl::Seconds(3));
  EXPECT_EQ(Told(0), (Strings{"hello 0.1", "hello 1.1", "disconnected"}));
  EXPECT_FALSE(line_->finished());
  EXPECT_EQ(line_->connected(), 1u);
}

TEST_F(LineTest, AnOlderProcessIsHeardOutBeforeTheNewer) {
  deaf_ = true;
  Rank older = Come(0, 1);
  Work();
  Break();
  Say(older, 1, 2);
  line_->Disconnect(older.token);
  Rank newer = Come(0, 2);
  Say(newer, 1, 1);
  deaf_ = false;
  Work(absl::Seconds(3));
  EXPECT_EQ(Told(1), (Strings{"hello 0.1", "reports 1 2", "disconnected",
                              "hello 0.2", "reports 1"}));
}

TEST_F(LineTest, AFinalRefusalReachesTheRank) {
  deaf_ = true;
  Rank early = Come(0);
  Work();
  v1::ServerMessage refusal;
  refusal.mutable_refusal()->set_source(1);
  refusal.mutable_refusal()->set_reason(v1::SKETCH_MISMATCH);
  upstream_.streams[0]->events.message(refusal);
  RunPosted();
  EXPECT_EQ(early.Answers(), Strings{"refusal SKETCH_MISMATCH"});
  EXPECT_EQ(counts_.refused["sketch_mismatch"], 1u);
  // It is remembered for a rank that asks again.
  EXPECT_EQ(Come(0).Answers(), Strings{"refusal SKETCH_MISMATCH"});
  Work(absl::Minutes(2));
  EXPECT_TRUE(Come(0).Answers().empty());
}

TEST_F(LineTest, ALateRefusalBringsTheRankBackForIt) {
  deaf_ = true;
  Rank rank = Come(0);
  Say(rank, 1, 3);
  Work(absl::Seconds(2));
  EXPECT_EQ(rank.Answers(), Strings{"welcome 0"});
  v1::ServerMessage refusal;
  refusal.mutable_refusal()->set_source(1);
  refusal.mutable_refusal()->set_reason(v1::INVALID_WORLD_SIZE);
  upstream_.streams[0]->events.message(refusal);
  RunPosted();
  Work();
  EXPECT_EQ(rank.Answers(), Strings{"refusal UNKNOWN_SOURCE"});
  EXPECT_EQ(Come(0).Answers(), Strings{"refusal INVALID_WORLD_SIZE"});
  EXPECT_EQ(Dropped(Where::kRefused), 3u);
}

TEST_F(LineTest, SupersededIsFinal) {
  Rank older = Come(0, 1);
  Work();
  older.Answers();
  v1::ServerMessage refusal;
  refusal.mutable_refusal()->set_source(1);
  refusal.mutable_refusal()->set_reason(v1::SUPERSEDED);
  upstream_.streams[0]->events.message(refusal);
  RunPosted();
  EXPECT_EQ(older.Answers(), Strings{"refusal SUPERSEDED"});
}

TEST_F(LineTest, SourcesAreBounded) {
  options_.max_sources = 2;
  deaf_ = true;
  Come(0);
  Come(1);
  EXPECT_EQ(Come(2).Answers(), Strings{"refusal TOO_MANY_SOURCES"});
  EXPECT_TRUE(Come(1).Answers().empty());  // is there already
}

TEST_F(LineTest, AlertsGoToTheirRanks) {
  Rank rank = Come(0);
  Work();
  rank.Answers();
  v1::ServerMessage alerts;
  alerts.mutable_alerts()->set_source(1);
  alerts.mutable_alerts()->add_alerts()->set_kind("NonFinite");
  upstream_.streams[0]->events.message(alerts);
  RunPosted();
  EXPECT_EQ(rank.Answers(), Strings{"alerts 1"});
  // One that comes back is shown them.
  Rank back = Come(0);
  Work();
  EXPECT_EQ(back.Answers(), (Strings{"welcome 0", "alerts 1"}));
}

TEST_F(LineTest, DropsOfMemoryAreCountedOnce) {
  Rank rank = Come(0);
  Work();
  deaf_ = true;
  Say(rank, 1, 2);
  Work();
  Say(rank, 3, 4);
  // 1 and 2 are on their way: they may arrive.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(line_->log().DropOldest());
  EXPECT_EQ(Dropped(Where::kMemory), 1u);
  Break();
  EXPECT_EQ(Dropped(Where::kMemory), 3u);
  deaf_ = false;
  Work(absl::Seconds(1));
  EXPECT_EQ(Told(1), (Strings{"hello 0.1", "reports 4"}));
  EXPECT_EQ(counts_.forwarded, 1u);
}

TEST_F(LineTest, AcknowledgesWhatIngestRefusedLast) {
  Rank rank = Come(0);
  Work();
  Say(rank, 1, 1);
  line_->Report(rank.token, {}, 2);
  Work();
  EXPECT_EQ(rank.Answers(), (Strings{"welcome 0", "ack 2"}));
}

TEST_F(LineTest, ANewWayHereIsToldUpstream) {
  Rank rank = Come(0);
  Work();
  v1::Hello hello;
  hello.set_run("run");
  hello.set_rank(1);
  hello.set_incarnation(1);
  line_->Open({99, hello, std::make_shared<ingest::Outbox>([] {}), {"you"}});
  Work();
  ASSERT_EQ(upstream_.streams.size(), 2u);
  EXPECT_EQ(upstream_.streams[1]->via, (Strings{"you", "me"}));
  EXPECT_EQ(counts_.upstream_failures, 0u);
}

TEST_F(LineTest, AnOutageGoesThroughTheSpool) {
  UseSpool();
  deaf_ = true;
  Rank zero = Come(0);
  Rank one = Come(1);
  Work();
  Break();
  for (uint64_t i = 1; i <= 100; ++i) {
    Say(zero, i, i);
    Say(one, i, i);
    Work(absl::Milliseconds(5));
  }
  WorkUntil([&] { return line_->log().memory_entries() == 0; });
  EXPECT_EQ(spool_->stats().reports, 200u);
  EXPECT_EQ(zero.Answers().back(), "ack 100");
  deaf_ = false;
  Say(zero, 101, 101);
  WorkUntil([&] { return line_->log().empty(); });
  ASSERT_EQ(judged_.size(), 201u);
  // In the order in which they came.
  for (uint64_t i = 0; i < 200; ++i) {
    EXPECT_EQ(judged_[i].first, i % 2);
    EXPECT_EQ(judged_[i].second, i / 2 + 1);
  }
  EXPECT_EQ(counts_.forwarded, 201u);
  spool_->Stop();
  EXPECT_EQ(spool_->stats().reports, 0u);
}

TEST_F(LineTest, TheSpoolIsSentAtItsRate) {
  options_.drain_rate = 100;
  UseSpool();
  deaf_ = true;
  Rank rank = Come(0);
  Work();
  Break();
  Say(rank, 1, 200);
  Work(absl::Milliseconds(100));
  WorkUntil([&] { return line_->log().memory_entries() == 0; });
  deaf_ = false;
  WorkUntil([&] { return !judged_.empty(); });
  const absl::Time begin = clock_.clock().wall();
  WorkUntil([&] { return judged_.size() == 200; });
  // 100 a second, and a tenth of a second at once.
  EXPECT_NEAR(absl::ToDoubleSeconds(clock_.clock().wall() - begin), 1.9, 0.15);
}

TEST_F(LineTest, ARelayThatWasKilledGoesOn) {
  UseSpool();
  deaf_ = true;
  Rank rank = Come(0, 1, "seed");
  SpoolTenAndStartAgain(rank);
  Rank back = Come(0, 1, "seed");
  WorkUntil([&] { return judged_.size() == 10; });
  EXPECT_EQ(back.Answers().front(), "welcome 10");
  Say(back, 5, 11);
  WorkUntil([&] { return judged_.size() == 11; });
  EXPECT_EQ(Told(upstream_.streams.size() - 1).front(), "hello 0.1 seed");
}

TEST_F(LineTest, ReportsOfARankThatIsGoneAreSentAllTheSame) {
  UseSpool();
  deaf_ = true;
  Rank rank = Come(0);
  SpoolTenAndStartAgain(rank);
  WorkUntil([&] { return line_->finished(); });
  EXPECT_EQ(judged_.size(), 10u);
  EXPECT_EQ(Told(upstream_.streams.size() - 1).back(), "disconnected");
}

TEST_F(LineTest, WhatIsNotAcknowledgedInTimeGoesToTheSpool) {
  UseSpool();
  Rank rank = Come(0);
  Work();
  deaf_ = true;
  Say(rank, 1, 5);
  Work(absl::Seconds(1));
  EXPECT_EQ(line_->log().memory_entries(), 5u);
  Work(absl::Seconds(2));
  WorkUntil([&] { return line_->log().memory_entries() == 0; });
  EXPECT_EQ(rank.Answers(), (Strings{"welcome 0", "ack 5"}));
  // They are on their way already, and not sent twice.
  deaf_ = false;
  WorkUntil([&] { return line_->log().empty(); });
  EXPECT_EQ(Told(0), (Strings{"hello 0.1", "reports 1 2 3 4 5"}));
  EXPECT_EQ(counts_.forwarded, 5u);
}

}  // namespace
}  // namespace muster::relay
