#include "cli/format.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const Style kPlain = {false, absl::FromUnixSeconds(1700000100)};

// Eight ranks at step 412, judged twelve seconds ago.
v1::Run GoodRun() {
  v1::Run run;
  run.set_run("run-7");
  run.set_state(v1::LIVE);
  run.set_attempt(2);
  run.set_world_size(8);
  run.set_ranks_connected(8);
  run.set_newest_unix_nanos(1700000088000000000);
  v1::Step& step = *run.mutable_newest();
  step.set_step(412);
  step.set_ranks_expected(8);
  step.set_ranks_reporting(8);
  step.set_loss_mean(2.25);
  step.set_loss_stddev(0.125);
  step.set_gradient_cosine_mean(0.625);
  v1::Attempt& attempt = *run.add_attempts();
  attempt.set_attempt(2);
  attempt.set_world_size(8);
  attempt.set_first_step(300);
  attempt.set_last_step(412);
  attempt.set_frames(113);
  attempt.set_cause("restart");
  return run;
}

v1::ListRunsResponse RunsOf(const v1::Run& run) {
  v1::ListRunsResponse runs;
  *runs.add_runs() = run;
  runs.set_daemon_version("0.1.0");
  return runs;
}

v1::ListAlertsResponse OneAlert() {
  v1::ListAlertsResponse alerts;
  v1::Alert& alert = *alerts.add_alerts();
  alert.set_id(1);
  alert.set_kind("RankOutlier");
  alert.set_run("run-7");
  alert.set_state(v1::FIRING);
  alert.set_severity(v1::WARNING);
  alert.set_subject("loss");
  for (const uint32_t rank : {0, 1, 2, 5}) alert.add_ranks(rank);
  alert.set_first_step(400);
  alert.set_last_step(412);
  alert.set_evidence("Their losses are above the others'.");
  alert.set_changed_unix_nanos(1699999900000000000);
  return alerts;
}

TEST(FormatTest, VerdictSaysWhetherRanksAgree) {
  v1::Run run = GoodRun();
  EXPECT_EQ(RunVerdict(run, kPlain), "run-7: 8 of 8 ranks agree at step 412");
  EXPECT_TRUE(IsHealthy(run));

  run.set_state(v1::ENDED);
  EXPECT_TRUE(IsHealthy(run));
  EXPECT_EQ(RunVerdict(run, kPlain), "run-7: ended at step 412");
  run.set_state(v1::SILENT);
  EXPECT_FALSE(IsHealthy(run));
  EXPECT_EQ(RunVerdict(run, kPlain),
            "run-7: silent, no rank is connected; step 412 was judged 12s ago");

  run = GoodRun();
  run.mutable_newest()->set_ranks_reporting(7);
  EXPECT_FALSE(IsHealthy(run));
  EXPECT_EQ(RunVerdict(run, kPlain),
            "run-7: only 7 of 8 ranks reported step 412");

  run = GoodRun();
  run.set_alerts_firing(2);
  EXPECT_FALSE(IsHealthy(run));
  EXPECT_EQ(RunVerdict(run, kPlain), "run-7: 2 alerts fire at step 412");

  run = GoodRun();
  run.clear_newest();
  EXPECT_TRUE(IsHealthy(run));
  EXPECT_EQ(RunVerdict(run, kPlain),
            "run-7: 8 of 8 ranks are connected, no step is judged yet");
}

TEST(FormatTest, StatusPutsTheVerdictFirst) {
  EXPECT_EQ(FormatStatus(RunsOf(GoodRun()), {}, kPlain),
            "run-7: 8 of 8 ranks agree at step 412\n"
            "\n"
            "RUN    STATE  ATTEMPT  STEP  RANKS  LOSS  STDDEV  COSINE  EXPECTED"
            "  PARTIAL  DROPPED  ALERTS  AGE\n"
            "run-7  live         2   412    8/8  2.25   0.125   0.625         -"
            "        0        0       0  12s\n");
  v1::Run run = GoodRun();
  run.set_alerts_firing(1);
  EXPECT_THAT(FormatStatus(RunsOf(run), OneAlert(), kPlain),
              StartsWith("run-7: RankOutlier: ranks 0-2,5, loss, since step "
                         "400: Their losses are above the others'.\n\n"));
  EXPECT_EQ(FormatStatus({}, {}, kPlain), "no runs\n");
}

TEST(FormatTest, StatusRemembersAlertsThatAreOver) {
  v1::Run run = GoodRun();
  run.set_state(v1::ENDED);
  auto alerts = OneAlert();
  alerts.mutable_alerts(0)->set_state(v1::RESOLVED);
  alerts.mutable_alerts(0)->set_fired_unix_nanos(1);
  // One that never came to fire does not count.
  *alerts.add_alerts() = alerts.alerts(0);
  alerts.mutable_alerts(1)->set_fired_unix_nanos(0);
  EXPECT_THAT(FormatStatus(RunsOf(run), alerts, kPlain),
              StartsWith("run-7: ended at step 412; 1 alert fired before\n"));
}

TEST(FormatTest, AlertsThatTheLossHidesSaySo) {
  v1::Run run = GoodRun();
  run.set_alerts_firing(1);
  auto alerts = OneAlert();
  alerts.mutable_alerts(0)->set_silent(true);
  EXPECT_THAT(FormatStatus(RunsOf(run), alerts, kPlain),
              HasSubstr("the mean loss does not show it"));
}

TEST(FormatTest, RunsShowTheirAttempts) {
  const std::string text = FormatRuns(RunsOf(GoodRun()), kPlain);
  EXPECT_THAT(text, StartsWith("1 run, 1 healthy\n\n"));
  EXPECT_THAT(text,
              HasSubstr("RUN    ATTEMPT  CAUSE    RANKS  STEPS    FRAMES\n"
                        "run-7        2  restart      8  300-412     113"
                        "\n"));
}

TEST(FormatTest, RanksShowStateAndAbsentValues) {
  v1::ListRanksResponse ranks;
  v1::Rank& first = *ranks.add_ranks();
  first.set_host("node\x1b-0");
  first.set_pid(77);
  first.set_connected(true);
  first.set_last_step(412);
  first.mutable_values()->set_loss(2.5);
  v1::Rank& second = *ranks.add_ranks();
  second.set_rank(1);
  v1::Rank& third = *ranks.add_ranks();
  third.set_rank(2);
  third.set_departed(true);
  EXPECT_EQ(FormatRanks(GoodRun(), ranks, kPlain),
            "run-7: 8 of 8 ranks agree at step 412\n"
            "\n"
            "RANK  STATE      HOST     PID  STEP  LAG  LOSS  NORM  COSINE  "
            "DIVERGENCE  NONFINITE  DROPPED\n"
            "   0  connected  node?-0   77   412    0   2.5     -       -  "
            "         -          0        0\n"
            "   1  lost                  0     -    -     -     -       -  "
            "         -          0        0\n"
            "   2  left                  0     -    -     -     -       -  "
            "         -          0        0\n");
}

TEST(FormatTest, StepsAreARowEach) {
  v1::ListStepsResponse steps;
  *steps.add_steps() = GoodRun().newest();
  steps.mutable_steps(0)->set_superseded(true);
  const std::string text = FormatSteps(GoodRun(), steps, kPlain);
  EXPECT_THAT(text, HasSubstr("\n 412        0    8/8  2.25   0.125"));
  EXPECT_THAT(text, HasSubstr("superseded\n"));
  EXPECT_THAT(FormatSteps(GoodRun(), {}, kPlain),
              HasSubstr("no steps in this range\n"));
}

TEST(FormatTest, AlertsSayHowManyFire) {
  EXPECT_EQ(FormatAlerts({}, kPlain), "no alert fires\n");
  auto alerts = OneAlert();
  EXPECT_EQ(FormatAlerts(alerts, kPlain),
            "1 alert fires\n"
            "\n"
            "ID  STATE   SEVERITY  RUN    KIND         SUBJECT  RANKS  "
            "STEPS      AGE  EVIDENCE\n"
            " 1  firing  warning   run-7  RankOutlier  loss     0-2,5  "
            "400-412  3m20s  "
            "Their losses are above the others'.\n");
  alerts.mutable_alerts(0)->set_state(v1::RESOLVED);
  EXPECT_THAT(FormatAlerts(alerts, kPlain), StartsWith("no alert fires\n\n"));
}

TEST(FormatTest, ColoursFollowTheVerdict) {
  const Style style = {true, kPlain.now};
  v1::Run run = GoodRun();
  EXPECT_THAT(RunVerdict(run, style), StartsWith("\x1b[32m"));
  run.set_state(v1::SILENT);
  EXPECT_THAT(RunVerdict(run, style), StartsWith("\x1b[33m"));
  run.set_alerts_firing(1);
  EXPECT_THAT(RunVerdict(run, style), StartsWith("\x1b[31m"));
  EXPECT_THAT(RunVerdict(run, kPlain), Not(HasSubstr("\x1b")));
}

TEST(FormatTest, JsonIsTheProtobufForm) {
  EXPECT_THAT(FormatJson(RunsOf(GoodRun())), HasSubstr("\"lossMean\": 2.25"));
  EXPECT_THAT(FormatJson(RunsOf(GoodRun())), HasSubstr("\"alertsFiring\": 0"));
  const std::string status = FormatStatusJson(RunsOf(GoodRun()), OneAlert());
  EXPECT_THAT(status, StartsWith("{\"healthy\":true,\"runs\":[{\"run\":"));
  EXPECT_THAT(status, HasSubstr("\"daemonVersion\":\"0.1.0\",\"alerts\":[{"));
  EXPECT_EQ(FormatStatusJson({}, {}),
            "{\"healthy\":true,\"runs\":[],\"daemonVersion\":\"\","
            "\"alerts\":[]}\n");
}

}  // namespace
}  // namespace muster::cli
