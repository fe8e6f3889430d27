// What the client says to a daemon that the test holds in its hand.
#include "muster/client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/client/client_fixture.h"

namespace muster {
namespace {

TEST_F(ClientTest, SaysHelloAndSendsReportsInOrder) {
  Options options = Defaults();
  options.parameter_count = 1000;
  options.facts = {{"sampler_seed", {"17"}}, {"rng_seed", {"3", true}}};
  Start(options);
  MakeSteps(10, 12);
  ASSERT_TRUE(WaitForReports({{1, 10}, {2, 11}, {3, 12}}));
  const std::vector<v1::Hello> hellos = network_.record().hellos();
  ASSERT_EQ(hellos.size(), 1u);
  const v1::Hello& hello = hellos[0];
  EXPECT_EQ(hello.run(), "run-1");
  EXPECT_EQ(hello.rank(), 1u);
  EXPECT_EQ(hello.world_size(), 2u);
  EXPECT_NE(hello.incarnation(), 0u);
  EXPECT_EQ(hello.sketch().version(), 1u);
  EXPECT_EQ(hello.sketch().width(), 64u);
  EXPECT_EQ(hello.sketch().seed(), SketchSpec::kDefaultSeed);
  EXPECT_EQ(hello.parameter_count(), 1000u);
  EXPECT_EQ(hello.pid(), static_cast<uint32_t>(getpid()));
  EXPECT_EQ(hello.client_version(), Version());
  ASSERT_EQ(hello.facts_size(), 2);
  EXPECT_EQ(hello.facts(0).name(), "rng_seed");
  EXPECT_TRUE(hello.facts(0).shown_only());
  EXPECT_EQ(hello.facts(1).value(), "17");
  EXPECT_FALSE(hello.facts(1).shown_only());

  ASSERT_TRUE(WaitForSleep());
  const Stats stats = client_->GetStats();
  EXPECT_EQ(stats.made, 3u);
  EXPECT_EQ(stats.sent, 3u);
  EXPECT_EQ(stats.acknowledged, 3u);
  EXPECT_EQ(stats.queued, 0u);
  EXPECT_EQ(stats.dropped, 0u);
  EXPECT_EQ(stats.reconnects, 0u);
  EXPECT_TRUE(stats.connected);
}

TEST_F(ClientTest, IncarnationsDiffer) {
  Start();
  ASSERT_TRUE(WaitForWelcome(1));
  client_->Stop();
  Start();
  ASSERT_TRUE(WaitForWelcome(2));
  const std::vector<v1::Hello> hellos = network_.record().hellos();
  EXPECT_NE(hellos[0].incarnation(), hellos[1].incarnation());
}

TEST_F(ClientTest, FullRingDropsTheOldestAndCountsIt) {
  network_.SetReachable(false);
  Start();
  MakeSteps(1, 11);  // capacity 8
  EXPECT_EQ(client_->GetStats().dropped, 3u);
  EXPECT_EQ(client_->GetStats().queued, 8u);
  ASSERT_TRUE(WaitForSleep());
  network_.SetReachable(true);
  ASSERT_TRUE(network_.AdvanceToDeadline(seconds(1)));
  EXPECT_TRUE(WaitForReports(
      {{4, 4}, {5, 5}, {6, 6}, {7, 7}, {8, 8}, {9, 9}, {10, 10}, {11, 11}}));
}

TEST_F(ClientTest, SendsAgainWhatWasNotAcknowledged) {
  network_.SetAcknowledging(false);
  Start();
  MakeSteps(1, 3);
  ASSERT_TRUE(WaitForReports({{1, 1}, {2, 2}, {3, 3}}));
  v1::ServerMessage ack;
  ack.mutable_ack()->set_source(1);
  ack.mutable_ack()->set_sequence(1);
  network_.Say(ack);
  ASSERT_TRUE(WaitForSleep());
  network_.Break();
  ASSERT_TRUE(network_.AdvanceToDeadline(seconds(1)));
  EXPECT_TRUE(WaitForReports({{1, 1}, {2, 2}, {3, 3}, {2, 2}, {3, 3}}));
  ASSERT_TRUE(WaitForSleep());
  const Stats stats = client_->GetStats();
  EXPECT_EQ(stats.sent, 5u);
  EXPECT_EQ(stats.acknowledged, 1u);
  EXPECT_EQ(stats.queued, 2u);
  EXPECT_EQ(stats.reconnects, 1u);
  const std::vector<v1::Hello> hellos = network_.record().hellos();
  EXPECT_EQ(hellos[0].incarnation(), hellos[1].incarnation());
}

TEST_F(ClientTest, WelcomeSettlesWhatTheDaemonHasKept) {
  network_.SetAcknowledging(false);
  Start();
  MakeSteps(1, 3);
  ASSERT_TRUE(WaitForReports({{1, 1}, {2, 2}, {3, 3}}));
  network_.SetWelcomeSequence(2);
  network_.Break();
  ASSERT_TRUE(network_.AdvanceToDeadline(seconds(1)));
  EXPECT_TRUE(WaitForReports({{1, 1}, {2, 2}, {3, 3}, {3, 3}}));
  EXPECT_EQ(client_->GetStats().acknowledged, 2u);
}

TEST_F(ClientTest, UnknownSourceMeansANewStream) {
  Start();
  ASSERT_TRUE(WaitForWelcome());
  v1::ServerMessage refusal;
  refusal.mutable_refusal()->set_source(1);
  refusal.mutable_refusal()->set_sequence(1);
  refusal.mutable_refusal()->set_reason(v1::UNKNOWN_SOURCE);
  network_.Say(refusal);
  ASSERT_TRUE(network_.AdvanceToDeadline(seconds(1)));
  EXPECT_TRUE(WaitForWelcome(2));
  EXPECT_EQ(client_->GetStats().refused, 0u);
}

TEST_F(ClientTest, BytesThatAreNoMessageMeanANewStream) {
  Start();
  ASSERT_TRUE(WaitForWelcome());
  network_.SayBytes("\xFF\xFF\xFF");
  ASSERT_TRUE(network_.AdvanceToDeadline(seconds(1)));
  EXPECT_TRUE(WaitForWelcome(2));
}

TEST_F(ClientTest, AnswersToOtherSourcesAreIgnored) {
  network_.SetAcknowledging(false);
  Start();
  MakeSteps(1, 1);
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  v1::ServerMessage message;
  message.mutable_ack()->set_source(2);
  message.mutable_ack()->set_sequence(1);
  network_.Say(message);
  message.mutable_refusal()->set_source(2);
  message.mutable_refusal()->set_reason(v1::SUPERSEDED);
  network_.Say(message);
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(client_->GetStats().queued, 1u);
  EXPECT_FALSE(client_->GetStats().superseded);
}

TEST_F(ClientTest, BacksOffExponentiallyUpToTenSeconds) {
  network_.SetReachable(false);
  Start();
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(network_.AdvanceToDeadline(seconds(11)));
  }
  ASSERT_TRUE(WaitForSleep());
  const std::vector<FakeNetwork::TimePoint> opens = network_.record().opens;
  ASSERT_EQ(opens.size(), 13u);
  milliseconds longest(100);
  for (size_t i = 1; i < opens.size(); ++i) {
    EXPECT_LE(opens[i] - opens[i - 1], longest) << i;
    EXPECT_GE(opens[i] - opens[i - 1], longest / 2) << i;
    longest = std::min(2 * longest, milliseconds(10'000));
  }
  EXPECT_EQ(log().size(), 1u) << "told once, not at each attempt";
}

TEST_F(ClientTest, AnAcknowledgedStreamStartsBackoffAnew) {
  network_.SetReachable(false);
  Start();
  MakeSteps(1, 1);
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(network_.AdvanceToDeadline(seconds(11)));
  }
  ASSERT_TRUE(WaitForSleep());
  network_.SetReachable(true);
  ASSERT_TRUE(network_.AdvanceToDeadline(seconds(11)));
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  ASSERT_TRUE(WaitForSleep());
  const auto broken_at = network_.now();
  network_.Break();
  ASSERT_TRUE(network_.AdvanceToDeadline(seconds(11)));
  ASSERT_TRUE(WaitForWelcome(2));
  EXPECT_LE(network_.record().opens.back() - broken_at, milliseconds(100));
}

TEST_F(ClientTest, GivesUpAnAttemptThatHangs) {
  network_.SetReachable(false, /*hanging=*/true);
  Start();
  ASSERT_TRUE(network_.AdvanceToDeadline(seconds(5)));
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(network_.now() - network_.record().opens[0], seconds(5));
  ASSERT_TRUE(network_.AdvanceToDeadline(milliseconds(100)));
  EXPECT_TRUE(network_.WaitFor(
      [](const Record& record) { return record.opens.size() == 2; }));
}

TEST_F(ClientTest, SupersededFallsSilentForGood) {
  network_.SetAcknowledging(false);
  Start();
  MakeSteps(1, 2);
  ASSERT_TRUE(WaitForReports({{1, 1}, {2, 2}}));
  v1::ServerMessage refusal;
  refusal.mutable_refusal()->set_source(1);
  refusal.mutable_refusal()->set_reason(v1::SUPERSEDED);
  network_.Say(refusal);
  ASSERT_TRUE(WaitForEnd());
  MakeSteps(3, 5);
  client_->Stop();  // joins: the thread has written all its counts
  const Stats stats = client_->GetStats();
  EXPECT_TRUE(stats.superseded);
  EXPECT_FALSE(stats.connected);
  EXPECT_EQ(stats.made, 2u);
  EXPECT_EQ(stats.queued, 0u);
  EXPECT_EQ(stats.dropped, 2u);
  EXPECT_EQ(network_.record().goodbyes(), 0u);
  EXPECT_EQ(network_.record().opens.size(), 1u);
  ASSERT_EQ(log().size(), 1u);
  EXPECT_NE(log()[0].find("rank 1 of run \"run-1\""), std::string::npos);
}

TEST_F(ClientTest, HelloRefusedForGoodIsToldOnceAndEndsIt) {
  network_.RefuseHello(v1::SKETCH_MISMATCH);
  Start();
  ASSERT_TRUE(WaitForEnd());
  client_->Stop();
  ASSERT_EQ(log().size(), 1u);
  EXPECT_NE(log()[0].find("as the test wants"), std::string::npos);
  MakeSteps(1, 1);
  EXPECT_EQ(client_->GetStats().made, 0u);
  EXPECT_FALSE(client_->GetStats().superseded);
}

TEST_F(ClientTest, HelloRefusedForNowIsTriedAgainSlowly) {
  network_.RefuseHello(v1::TOO_MANY_RUNS);
  Start();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(network_.WaitFor([&](const Record& record) {
      return record.hellos().size() == i + 1u && record.sleeping_until;
    }));
    const auto refused_at = network_.now();
    ASSERT_TRUE(network_.AdvanceToDeadline(seconds(60)));
    EXPECT_GE(network_.now() - refused_at, seconds(30));
  }
  network_.RefuseHello(v1::REFUSAL_REASON_UNSPECIFIED);
  MakeSteps(1, 1);
  ASSERT_TRUE(network_.WaitFor([](const Record& record) {
    return record.hellos().size() == 4 && record.sleeping_until;
  }));
  if (network_.record().reports().empty()) {
    ASSERT_TRUE(network_.AdvanceToDeadline(seconds(60)));
  }
  EXPECT_TRUE(WaitForReports({{1, 1}}));
  EXPECT_EQ(log().size(), 1u);

  // From here on it is a stream like any other: Stop() flushes it.
  network_.SetAcknowledging(false);
  MakeSteps(2, 2);
  ASSERT_TRUE(WaitForReports({{1, 1}, {2, 2}}));
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(StopAndMeasure(), milliseconds(2000));
}

TEST_F(ClientTest, StopDoesNotWaitForASlowRetry) {
  network_.RefuseHello(v1::TOO_MANY_RUNS);
  Start();
  MakeSteps(1, 1);
  ASSERT_TRUE(WaitForWelcome());
  EXPECT_EQ(StopAndMeasure(), milliseconds(0));
}

TEST_F(ClientTest, RefusedReportsAreCountedAndToldOnce) {
  network_.SetAcknowledging(false);
  Start();
  MakeSteps(1, 2);
  ASSERT_TRUE(WaitForReports({{1, 1}, {2, 2}}));
  v1::ServerMessage refusal;
  refusal.mutable_refusal()->set_source(1);
  refusal.mutable_refusal()->set_reason(v1::INVALID_NORM);
  for (const uint64_t sequence : {1, 2}) {
    refusal.mutable_refusal()->set_sequence(sequence);
    network_.Say(refusal);
  }
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(client_->GetStats().refused, 2u);
  EXPECT_EQ(client_->GetStats().queued, 2u) << "the Ack settles them";
  EXPECT_EQ(log().size(), 1u);
}

TEST_F(ClientTest, WhatADaemonSaysFillsNoLog) {
  network_.SetAcknowledging(false);
  Start();
  MakeSteps(1, 1);
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  v1::ServerMessage refusal;
  refusal.mutable_refusal()->set_source(1);
  refusal.mutable_refusal()->set_sequence(1);
  refusal.mutable_refusal()->set_detail("one\ntwo\x1b[2J" +
                                        std::string(100'000, 'x'));
  for (int reason = 1'000; reason < 1'050; ++reason) {
    refusal.mutable_refusal()->set_reason(
        static_cast<v1::RefusalReason>(reason));
    network_.Say(refusal);
  }
  ASSERT_TRUE(WaitForSleep());
  EXPECT_EQ(client_->GetStats().refused, 50u);
  ASSERT_EQ(log().size(), 1u) << "reasons that it does not know are one";
  EXPECT_NE(log()[0].find("one?two?[2J"), std::string::npos);
  EXPECT_EQ(log()[0].find('\n'), std::string::npos);
  EXPECT_LT(log()[0].size(), 500u);
}

TEST_F(ClientTest, FactsArriveBeforeTheirFirstReport) {
  Start();
  MakeSteps(1, 1);
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  ASSERT_TRUE(WaitForSleep());
  std::string error;
  ASSERT_TRUE(client_->SetFacts({{"lr", {"0.1"}}}, &error));
  ASSERT_TRUE(client_->SetFacts({{"lr", {"0.1"}}}, &error));  // no change
  MakeSteps(2, 3);
  ASSERT_TRUE(
      client_->SetFacts({{"lr", {"0.2"}}, {"mode", {"train"}}}, &error));
  MakeSteps(4, 4);
  ASSERT_TRUE(WaitForReports({{1, 1}, {2, 2}, {3, 3}, {4, 4}}));

  std::vector<std::string> order;
  for (const v1::ClientMessage& message : network_.record().messages) {
    if (message.has_hello()) {
      EXPECT_EQ(message.hello().facts_size(), 0);
    } else if (message.has_facts()) {
      std::string facts = "facts";
      for (const v1::Fact& fact : message.facts().facts()) {
        facts += " " + fact.name() + "=" + fact.value();
      }
      order.push_back(facts);
    }
    for (const v1::StepReport& report : message.reports().reports()) {
      order.push_back(std::to_string(report.step()));
    }
  }
  EXPECT_EQ(order, (std::vector<std::string>{"1", "facts lr=0.1", "2", "3",
                                             "facts lr=0.2 mode=train", "4"}));
}

TEST_F(ClientTest, HelloStatesTheFactsOfTheFirstReportItIsFollowedBy) {
  network_.SetReachable(false);
  Options options = Defaults();
  options.facts = {{"lr", {"old"}}};
  Start(options);
  MakeSteps(1, 1);
  std::string error;
  ASSERT_TRUE(client_->SetFacts({{"lr", {"new"}}}, &error));
  MakeSteps(2, 2);
  ASSERT_TRUE(WaitForSleep());
  network_.SetReachable(true);
  ASSERT_TRUE(network_.AdvanceToDeadline(seconds(1)));
  ASSERT_TRUE(WaitForReports({{1, 1}, {2, 2}}));
  const std::vector<v1::ClientMessage> messages = network_.record().messages;
  ASSERT_EQ(messages.size(), 4u);
  EXPECT_EQ(messages[0].hello().facts(0).value(), "old");
  EXPECT_EQ(messages[1].reports().reports(0).step(), 1u);
  EXPECT_EQ(messages[2].facts().facts(0).value(), "new");
  EXPECT_EQ(messages[3].reports().reports(0).step(), 2u);
}

TEST_F(ClientTest, RefusesFactsOverTheirLimitsAndTakesNone) {
  Start();
  std::string error;
  EXPECT_FALSE(client_->SetFacts(
      {{"good", {"1"}}, {"long", {std::string(257, 'v')}}}, &error));
  EXPECT_EQ(error, "fact \"long\": value of 257 bytes; must have at most 256");
  MakeSteps(1, 1);
  ASSERT_TRUE(WaitForReports({{1, 1}}));
  for (const v1::ClientMessage& message : network_.record().messages) {
    EXPECT_FALSE(message.has_facts());
  }
}

TEST_F(ClientTest, ShowsAlertsUntilTheStreamIsLost) {
  Start();
  ASSERT_TRUE(WaitForWelcome());
  const uint64_t before = client_->AlertsGeneration();
  v1::ServerMessage message;
  message.mutable_alerts()->set_source(1);
  v1::Alert* alert = message.mutable_alerts()->add_alerts();
  alert->set_id(4);
  alert->set_kind("RankOutlier");
  alert->set_subject("loss");
  alert->add_ranks(1);
  alert->set_first_step(10);
  alert->set_last_step(20);
  alert->set_value(3.5);
  alert->set_expected(1.5);
  alert->set_evidence("rank 1 is high");
  alert->set_silent(true);
  network_.Say(message);
  ASSERT_TRUE(WaitForSleep());
  const std::vector<Alert> alerts = client_->Alerts();
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0].id, 4u);
  EXPECT_EQ(alerts[0].kind, "RankOutlier");
  EXPECT_EQ(alerts[0].subject, "loss");
  EXPECT_EQ(alerts[0].ranks, std::vector<uint32_t>{1});
  EXPECT_EQ(alerts[0].first_step, 10u);
  EXPECT_EQ(alerts[0].last_step, 20u);
  EXPECT_EQ(alerts[0].value, 3.5);
  EXPECT_EQ(alerts[0].expected, 1.5);
  EXPECT_EQ(alerts[0].evidence, "rank 1 is high");
  EXPECT_TRUE(alerts[0].silent);
  const uint64_t shown = client_->AlertsGeneration();
  EXPECT_NE(shown, before);

  network_.Break();
  ASSERT_TRUE(WaitForSleep());
  EXPECT_TRUE(client_->Alerts().empty());
  EXPECT_NE(client_->AlertsGeneration(), shown);
}

}  // namespace
}  // namespace muster
