#include "daemon/sinks/alertmanager.h"

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/sinks/an_alert.h"

namespace muster::sinks {
namespace {

using alert::Alert;
using alert::State;
using ::testing::HasSubstr;
using ::testing::Not;

class AlertmanagerTest : public ::testing::Test {
 protected:
  absl::Time Wall() const {
    return absl::FromUnixSeconds(1'700'000'000) + now_;
  }
  Moment Now() const { return {now_, Wall()}; }

  void Change(const std::string& run, uint64_t id, State state,
              std::vector<uint32_t> ranks = {3}) {
    const Alert alert = AnAlert(id, state, Wall(), std::move(ranks));
    current_ = state == State::kFiring ? std::optional(alert) : std::nullopt;
    outbox_.Take(run, alert, Now());
  }

  // What is sent now, "" if nothing is; it is answered.
  std::string Send(Outcome outcome = Outcome::kTaken) {
    const auto delivery = outbox_.Make(Now());
    EXPECT_TRUE(delivery.ok());
    if (!delivery->has_value()) return "";
    outbox_.Done(outcome, Now());
    return (*delivery)->body;
  }

  absl::Duration DueIn() const { return outbox_.Due() - now_; }

  absl::Duration now_ = absl::Seconds(1000);
  // What every look-up finds.
  std::optional<Alert> current_;
  SinkOptions options_{.external_url = "http://muster:7601",
                       .dashboard_url = "http://grafana/{run}"};
  AlertmanagerOutbox outbox_{
      options_, absl::Minutes(1),
      [this](const std::string&, uint64_t) { return current_; }};
};

TEST_F(AlertmanagerTest, TellsAnAlertInFull) {
  Change("gpt", 7, State::kFiring, {3, 5});
  EXPECT_EQ(
      Send(),
      "[{\"labels\":{\"alertname\":\"RankOutlier\",\"run\":\"gpt\","
      "\"severity\":\"critical\",\"ranks\":\"3,5\"},"
      "\"annotations\":{\"summary\":\"RankOutlier: ranks 3 and 5 of run gpt\","
      "\"description\":\"Rank 3's loss is odd.\","
      "\"evidence\":\"Rank 3's loss is odd.\\u000aIts norm too.\","
      "\"checks\":\"" +
          std::string(detect::InfoOf(detect::Kind::kRankOutlier).first_check) +
          "\",\"steps\":\"10 to 49\",\"silent\":\"true\",\"id\":\"7\","
          "\"dashboard\":\"http://grafana/gpt\"},"
          "\"startsAt\":\"2023-11-14T22:30:00.000Z\","
          "\"endsAt\":\"2023-11-14T22:34:00.000Z\","
          "\"generatorURL\":\"http://muster:7601/#/runs/"
          "gpt?from=10&to=49&rank=3,5\"}]");
}

TEST_F(AlertmanagerTest, SendsAgainWhileItFires) {
  EXPECT_EQ(DueIn(), absl::InfiniteDuration());
  EXPECT_EQ(Send(), "");
  Change("gpt", 7, State::kFiring);
  EXPECT_EQ(DueIn(), absl::ZeroDuration());
  EXPECT_NE(Send(), "");
  EXPECT_EQ(Send(), "");
  EXPECT_EQ(DueIn(), absl::Minutes(1));
  for (int i = 0; i < 20; ++i) {
    now_ += absl::Minutes(1) - absl::Seconds(1);
    EXPECT_EQ(Send(), "");
    now_ += absl::Seconds(1);
    const std::string body = Send();
    // The same start, and an end that moves on.
    EXPECT_THAT(body, HasSubstr("\"startsAt\":\"2023-11-14T22:30:00.000Z\""));
    EXPECT_THAT(body, HasSubstr("\"endsAt\":\"" +
                                absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ",
                                                 Wall() + absl::Minutes(4),
                                                 absl::UTCTimeZone())));
  }
}

TEST_F(AlertmanagerTest, SendsTheNewestEvidence) {
  Change("gpt", 7, State::kFiring);
  Send();
  current_->finding.evidence = "It is worse.";
  now_ += absl::Minutes(1);
  EXPECT_THAT(Send(), HasSubstr("\"description\":\"It is worse.\""));
}

TEST_F(AlertmanagerTest, TellsForFiveMinutesThatItIsResolved) {
  Change("gpt", 7, State::kFiring);
  Send();
  now_ += absl::Seconds(10);
  Change("gpt", 7, State::kResolved);
  int sent = 0;
  const absl::Duration begin = now_;
  while (outbox_.Due() != absl::InfiniteDuration()) {
    ASSERT_LE(now_ - begin, absl::Minutes(5));
    const std::string body = Send();
    if (!body.empty()) {
      ++sent;
      EXPECT_THAT(body, HasSubstr("\"startsAt\":\"2023-11-14T22:30:00.000Z\","
                                  "\"endsAt\":\"2023-11-14T22:30:10.000Z\""));
    }
    if (DueIn() != absl::InfiniteDuration()) now_ += DueIn();
  }
  EXPECT_EQ(sent, 5);  // at 0, 1, 2, 3 and 4 minutes
  EXPECT_EQ(now_ - begin, absl::Minutes(5));
  EXPECT_EQ(outbox_.counts().held, 0u);
  EXPECT_EQ(outbox_.counts().dropped, 0u);
}

TEST_F(AlertmanagerTest, DoesNotTellWhatNobodyIsTold) {
  Change("gpt", 1, State::kPending);
  Change("gpt", 2, State::kObserved);
  Alert never_fired = AnAlert(3, State::kResolved, Wall());
  never_fired.fired = absl::InfinitePast();
  outbox_.Take("gpt", never_fired, Now());
  EXPECT_EQ(Send(), "");
  EXPECT_EQ(outbox_.counts().held, 0u);
}

TEST_F(AlertmanagerTest, FailureKeepsItDueAndRefusalDoesNot) {
  Change("gpt", 7, State::kFiring);
  EXPECT_NE(Send(Outcome::kFailed), "");
  EXPECT_EQ(DueIn(), absl::ZeroDuration());
  EXPECT_NE(Send(Outcome::kRefused), "");
  EXPECT_EQ(DueIn(), absl::Minutes(1));
}

TEST_F(AlertmanagerTest, ChangeDuringAPostIsNotLost) {
  Change("gpt", 7, State::kFiring);
  ASSERT_TRUE(outbox_.Make(Now()).ok());
  Change("gpt", 7, State::kResolved);
  outbox_.Done(Outcome::kTaken, Now());
  EXPECT_EQ(DueIn(), absl::ZeroDuration());
  EXPECT_THAT(Send(), HasSubstr("\"endsAt\":\"2023-11-14T22:30:00.000Z\""));
}

TEST_F(AlertmanagerTest, ResolvesWhatItsRunNoLongerHas) {
  Change("gpt", 7, State::kFiring);
  Send();
  current_.reset();  // the run was forgotten
  now_ += absl::Minutes(1);
  EXPECT_THAT(Send(), HasSubstr("\"endsAt\":\"2023-11-14T22:31:00.000Z\""));
  now_ += absl::Minutes(6);
  EXPECT_EQ(Send(), "");
  EXPECT_EQ(outbox_.counts().held, 0u);
}

TEST_F(AlertmanagerTest, NewIncidentTakesThePlaceOfTheOld) {
  Change("gpt", 7, State::kFiring);
  Change("gpt", 7, State::kResolved);
  now_ += absl::Seconds(30);
  Change("gpt", 8, State::kFiring);
  EXPECT_THAT(Send(), HasSubstr("\"startsAt\":\"2023-11-14T22:30:30.000Z\""));
  // A late word of the old one ends nothing.
  outbox_.Take("gpt", AnAlert(7, State::kResolved, Wall()), Now());
  EXPECT_EQ(Send(), "");
  EXPECT_EQ(outbox_.counts().held, 1u);
}

TEST_F(AlertmanagerTest, EndIsNeverBeforeTheStart) {
  Change("gpt", 7, State::kFiring);
  // The machine's time of day was set back by an hour.
  Alert resolved = AnAlert(7, State::kResolved, Wall() - absl::Hours(1));
  resolved.fired = Wall();
  outbox_.Take("gpt", resolved, {now_, Wall() - absl::Hours(1)});
  const auto delivery = outbox_.Make({now_, Wall() - absl::Hours(1)});
  EXPECT_THAT((*delivery)->body,
              HasSubstr("\"startsAt\":\"2023-11-14T21:30:00.000Z\","
                        "\"endsAt\":\"2023-11-14T21:30:00.000Z\""));
}

TEST_F(AlertmanagerTest, AfterARestartTellsWhatFiresAndWhatHasJustEnded) {
  outbox_.Resume("gpt", AnAlert(1, State::kFiring, Wall() - absl::Hours(9)),
                 Now());
  outbox_.Resume("gpt",
                 AnAlert(2, State::kResolved, Wall() - absl::Minutes(4), {4}),
                 Now());
  outbox_.Resume("gpt",
                 AnAlert(3, State::kResolved, Wall() - absl::Minutes(6), {5}),
                 Now());
  outbox_.Resume("gpt", AnAlert(4, State::kPending, Wall(), {6}), Now());
  const std::string body = Send();
  EXPECT_THAT(body, HasSubstr("\"ranks\":\"3\""));
  EXPECT_THAT(body, HasSubstr("\"startsAt\":\"2023-11-14T13:30:00.000Z\""));
  EXPECT_THAT(body, HasSubstr("\"ranks\":\"4\""));
  EXPECT_THAT(body, Not(HasSubstr("\"ranks\":\"5\"")));
  EXPECT_THAT(body, Not(HasSubstr("\"ranks\":\"6\"")));
}

TEST_F(AlertmanagerTest, ManyAlertsGoInSeveralPosts) {
  for (uint32_t rank = 0; rank < 150; ++rank) {
    Change("gpt", rank + 1, State::kFiring, {rank});
  }
  int posts = 0;
  while (!Send().empty()) ++posts;
  EXPECT_EQ(posts, 3);  // 64 + 64 + 22
}

TEST_F(AlertmanagerTest, IsBounded) {
  const auto bound = static_cast<uint32_t>(AlertmanagerOutbox::kMaxAlerts);
  for (uint32_t rank = 0; rank < bound; ++rank) {
    Change("gpt", rank + 1, State::kFiring, {rank});
  }
  Change("gpt", bound + 1, State::kFiring, {bound});
  EXPECT_EQ(outbox_.counts().held, bound);
  EXPECT_EQ(outbox_.counts().dropped, 1u);
  // What is resolved makes room for what fires.
  while (!Send().empty()) {
  }
  Change("gpt", 1, State::kResolved, {0});
  while (!Send().empty()) {
  }
  Change("gpt", bound + 1, State::kFiring, {bound});
  EXPECT_EQ(outbox_.counts().held, bound);
  EXPECT_EQ(outbox_.counts().dropped, 1u);
}

TEST(RanksLabelTest, IsBoundedAndTellsGroupsApart) {
  EXPECT_EQ(RanksLabel({}), "");
  EXPECT_EQ(RanksLabel({0, 5}), "0,5");
  std::vector<uint32_t> many(16384);
  for (uint32_t i = 0; i < many.size(); ++i) many[i] = i;
  const std::string label = RanksLabel(many);
  EXPECT_THAT(label, HasSubstr("0,1,2,3,4,5,6,7 and 16376 more ("));
  EXPECT_LT(label.size(), 64u);
  many.back() = 20000;
  EXPECT_NE(RanksLabel(many), label);
}

TEST_F(AlertmanagerTest, HostileTextStaysText) {
  Alert alert = AnAlert(1, State::kFiring, Wall());
  alert.finding.evidence = "\"},{\"labels\":{} \xFF <b> {{ .Labels }}";
  outbox_.Take("gpt", alert, Now());
  EXPECT_THAT(Send(), HasSubstr("\"description\":\"\\\"},{\\\"labels\\\":{} "
                                "\\ufffd <b> {{ .Labels }}\""));
}

}  // namespace
}  // namespace muster::sinks
