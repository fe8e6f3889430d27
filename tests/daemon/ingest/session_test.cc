#include "daemon/ingest/session.h"

#include <memory>
#include <string>
#include <vector>

#include "daemon/ingest/run_sink.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_link.h"

namespace muster::ingest {
namespace {

class SessionTest : public ::testing::Test {
 protected:
  v1::ClientMessage Hello(uint32_t source, const std::string& run,
                          uint32_t rank, uint32_t world_size = 2) {
    v1::ClientMessage message;
    v1::Hello* hello = message.mutable_hello();
    hello->set_source(source);
    hello->set_run(run);
    hello->set_rank(rank);
    hello->set_world_size(world_size);
    hello->set_incarnation(100 + rank);
    hello->mutable_sketch()->set_version(1);
    hello->mutable_sketch()->set_width(64);
    return message;
  }

  static void AddReport(v1::ClientMessage& message, uint32_t source,
                        uint64_t sequence, uint64_t step) {
    v1::StepReport* report = message.mutable_reports()->add_reports();
    report->set_source(source);
    report->set_sequence(sequence);
    report->set_step(step);
    report->set_loss(1);
  }

  void Take(v1::ClientMessage message) { session_.Take(message); }

  // Processes all, and gives what waits to be sent.
  std::vector<v1::ServerMessage> Answers() {
    registry_.Drain();
    std::vector<v1::ServerMessage> answers;
    while (auto message = outbox_->Take().message) {
      if (!message->has_alerts()) answers.push_back(*std::move(message));
    }
    return answers;
  }

  testing::FakeClock clock_;
  runs::DaemonCounters counters_;
  runs::Registry registry_{{.max_runs = 2, .worker_threads = 1},
                           clock_.clock(),
                           [](const std::string&, const alert::Alert&) {}};
  RunSink sink_{registry_, counters_};
  std::shared_ptr<Outbox> outbox_ = std::make_shared<Outbox>([] {});
  Session session_{{.max_world_size = 16, .max_sources_per_stream = 3},
                   sink_,
                   counters_,
                   outbox_};
};

TEST_F(SessionTest, CarriesManySourcesOnOneStream) {
  Take(Hello(1, "r", 0));
  Take(Hello(2, "r", 1));
  v1::ClientMessage reports;
  AddReport(reports, 1, 1, 0);
  AddReport(reports, 2, 1, 0);
  AddReport(reports, 1, 2, 1);
  Take(reports);
  const auto answers = Answers();
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_EQ(answers[0].welcome().source(), 1u);
  EXPECT_EQ(answers[1].welcome().source(), 2u);
  EXPECT_EQ(answers[2].ack().source(), 1u);
  EXPECT_EQ(answers[2].ack().sequence(), 2u);
  EXPECT_EQ(answers[3].ack().sequence(), 1u);
  const auto snapshot = registry_.Snapshot("r");
  EXPECT_EQ(snapshot->frames_complete, 1u);
  EXPECT_EQ(snapshot->newest->step, 0u);
}

TEST_F(SessionTest, TellsWhetherNothingOfTheLastMessageWasTaken) {
  Take(Hello(1, "bad run", 0));
  EXPECT_TRUE(session_.refused());
  Take(Hello(1, "r", 0));
  EXPECT_FALSE(session_.refused());
  Take(v1::ClientMessage());
  EXPECT_TRUE(session_.refused());
  v1::ClientMessage unknown;
  AddReport(unknown, 9, 1, 0);
  Take(unknown);
  EXPECT_TRUE(session_.refused());
  // A source that was opened may be wrong in what it reports.
  AddReport(unknown, 1, 1, uint64_t{1} << 63);
  Take(unknown);
  EXPECT_FALSE(session_.refused());
  v1::ClientMessage goodbye;
  goodbye.mutable_goodbye()->set_source(1);
  Take(goodbye);
  EXPECT_FALSE(session_.refused());
  Take(goodbye);
  EXPECT_TRUE(session_.refused());
}

TEST_F(SessionTest, RefusesAndCountsWhatIsWrongAndGoesOn) {
  Take(Hello(1, "bad run", 0));
  Take(Hello(1, "r", 5));
  Take(Hello(1, "r", 0, 17));
  Take(v1::ClientMessage());
  v1::ClientMessage unknown;
  AddReport(unknown, 9, 1, 0);
  Take(unknown);
  v1::ClientMessage facts;
  facts.mutable_facts()->set_source(9);
  Take(facts);
  Take(Hello(1, "r", 0));
  v1::ClientMessage goodbye;
  goodbye.mutable_goodbye()->set_source(2);
  Take(goodbye);
  const auto answers = Answers();
  std::vector<int> reasons;
  for (const auto& answer : answers) {
    if (answer.has_refusal()) reasons.push_back(answer.refusal().reason());
  }
  EXPECT_EQ(reasons, (std::vector<int>{v1::INVALID_RUN_ID, v1::INVALID_RANK,
                                       v1::INVALID_WORLD_SIZE, v1::MALFORMED,
                                       v1::UNKNOWN_SOURCE, v1::UNKNOWN_SOURCE,
                                       v1::UNKNOWN_SOURCE}));
  const std::map<std::string, uint64_t> expected = {{"invalid_run_id", 1},
                                                    {"invalid_rank", 1},
                                                    {"invalid_world_size", 1},
                                                    {"malformed", 1},
                                                    {"unknown_source", 3}};
  EXPECT_EQ(counters_.Rejected(), expected);
  EXPECT_NE(registry_.Snapshot("r"), nullptr);
}

TEST_F(SessionTest, SettlesRefusedReportsToo) {
  Take(Hello(1, "r", 0, 1));
  v1::ClientMessage reports;
  AddReport(reports, 1, 1, 0);
  AddReport(reports, 1, 2, 1);
  reports.mutable_reports()->mutable_reports(1)->set_gradient_norm(-1);
  Take(reports);
  const auto answers = Answers();
  ASSERT_EQ(answers.size(), 3u);
  for (const auto& answer : answers) {
    if (answer.has_refusal()) {
      EXPECT_EQ(answer.refusal().reason(), v1::INVALID_NORM);
      EXPECT_EQ(answer.refusal().sequence(), 2u);
    } else if (answer.has_ack()) {
      EXPECT_EQ(answer.ack().sequence(), 2u);
    } else {
      EXPECT_EQ(answer.welcome().sequence(), 0u);
    }
  }
}

TEST_F(SessionTest, RefusesNewcomersOverTheLimits) {
  Take(Hello(1, "a", 0));
  Take(Hello(1, "a", 1));  // number taken
  Take(Hello(2, "b", 0));
  Take(Hello(3, "c", 0));  // third run
  Take(Hello(3, "b", 1));
  Take(Hello(4, "a", 1));  // fourth source
  std::vector<int> reasons;
  for (const auto& answer : Answers()) {
    if (answer.has_refusal()) reasons.push_back(answer.refusal().reason());
  }
  EXPECT_EQ(reasons, (std::vector<int>{v1::TOO_MANY_SOURCES, v1::TOO_MANY_RUNS,
                                       v1::TOO_MANY_SOURCES}));
  EXPECT_EQ(registry_.Snapshots().size(), 2u);
}

TEST_F(SessionTest, CloseDisconnectsAndGoodbyeDeparts) {
  Take(Hello(1, "r", 0));
  Take(Hello(2, "r", 1));
  v1::ClientMessage goodbye;
  goodbye.mutable_goodbye()->set_source(1);
  Take(goodbye);
  session_.Close();
  registry_.Drain();
  const auto snapshot = registry_.Snapshot("r");
  ASSERT_EQ(snapshot->sources.size(), 2u);
  EXPECT_TRUE(snapshot->sources[0].departed);
  EXPECT_FALSE(snapshot->sources[1].departed);
  EXPECT_FALSE(snapshot->sources[1].connected);
}

TEST_F(SessionTest, ARelayTellsOfARankThatIsGone) {
  Take(Hello(1, "r", 0));
  Take(Hello(2, "r", 1));
  v1::ClientMessage gone;
  gone.mutable_disconnected()->set_source(2);
  Take(gone);
  Take(Hello(2, "s", 1));  // the number is free again
  for (const auto& answer : Answers()) EXPECT_FALSE(answer.has_refusal());
  const auto snapshot = registry_.Snapshot("r");
  ASSERT_EQ(snapshot->sources.size(), 2u);
  EXPECT_TRUE(snapshot->sources[0].connected);
  EXPECT_FALSE(snapshot->sources[1].connected);
  EXPECT_FALSE(snapshot->sources[1].departed);
}

TEST_F(SessionTest, TellsTheSendersOfAForgottenRun) {
  Take(Hello(1, "r", 0));
  const auto run = registry_.Open(
      "r", {{.rank = 1, .world_size = 2, .incarnation = 5, .sketch = {1, 64}},
            std::make_shared<const frames::FactSet>(),
            std::make_shared<testing::FakeLink>()});
  ASSERT_TRUE(run.ok());
  registry_.Drain();
  ASSERT_TRUE((*run)->Retire((*run)->snapshot()));
  v1::ClientMessage reports;
  AddReport(reports, 1, 1, 0);
  AddReport(reports, 1, 2, 1);
  Take(reports);
  Take(reports);
  std::vector<int> reasons;
  for (const auto& answer : Answers()) {
    if (answer.has_refusal()) reasons.push_back(answer.refusal().reason());
    EXPECT_FALSE(answer.has_ack());
  }
  // Once for the first message, then for each report.
  EXPECT_EQ(reasons, std::vector<int>(3, v1::UNKNOWN_SOURCE));
}

// Whatever is sent, the queue of a run is bounded.
TEST(SessionBackPressureTest, EachKindOfMessageSaysThatTheRunIsFull) {
  testing::FakeClock clock;
  runs::DaemonCounters counters;
  runs::Registry registry({.run = {.queue_bytes = 1000}, .worker_threads = 1},
                          clock.clock(),
                          [](const std::string&, const alert::Alert&) {});
  registry.Drain();  // nothing leaves the queue any more
  RunSink sink(registry, counters);
  Session session({}, sink, counters, std::make_shared<Outbox>([] {}));
  const auto hello = [](uint32_t source, int facts) {
    v1::ClientMessage message;
    v1::Hello* it = message.mutable_hello();
    it->set_source(source);
    it->set_run("r");
    it->set_rank(source);
    it->set_world_size(4);
    it->set_incarnation(7);
    it->mutable_sketch()->set_version(1);
    it->mutable_sketch()->set_width(64);
    for (int i = 0; i < facts; ++i) {
      it->add_facts()->set_name("fact " + std::to_string(i));
      it->mutable_facts(i)->set_value(std::string(200, 'x'));
    }
    return message;
  };
  v1::ClientMessage small = hello(0, 0);
  EXPECT_EQ(session.Take(small), nullptr);
  v1::ClientMessage large = hello(1, 10);
  EXPECT_NE(session.Take(large), nullptr);
  v1::ClientMessage facts;
  facts.mutable_facts()->set_source(0);
  EXPECT_NE(session.Take(facts), nullptr);
  v1::ClientMessage reports;
  reports.mutable_reports()->add_reports()->set_sequence(1);
  EXPECT_NE(session.Take(reports), nullptr);
  v1::ClientMessage goodbye;
  goodbye.mutable_goodbye()->set_source(0);
  EXPECT_NE(session.Take(goodbye), nullptr);
}

}  // namespace
}  // namespace muster::ingest
