#include "cli/explain.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const Style kPlain = {false, absl::FromUnixSeconds(1700000100)};

v1::Alert OutlierOfRank2() {
  v1::Alert alert;
  alert.set_id(7);
  alert.set_kind("RankOutlier");
  alert.set_run("run-7");
  alert.set_state(v1::FIRING);
  alert.set_severity(v1::WARNING);
  alert.set_subject("loss");
  alert.add_ranks(2);
  alert.set_first_step(400);
  alert.set_last_step(412);
  alert.set_evidence("Its loss is high.");
  alert.set_first_check("Look at the data of the rank.");
  v1::AlertEvidence& loss = *alert.add_pieces();
  loss.set_subject("loss");
  loss.set_first_step(400);
  loss.set_last_step(412);
  loss.set_value(5.5);
  loss.set_expected(0.25);
  loss.set_sentence("Its loss is high.");
  loss.set_standing(true);
  v1::AlertEvidence& norm = *alert.add_pieces();
  norm.set_subject("gradient_norm");
  norm.set_sentence("Its norm was high.");
  return alert;
}

// Losses 1 … 4 but for rank 2, whose loss is 9.
v1::ListStepsResponse OneStep() {
  v1::ListStepsResponse steps;
  v1::Step& step = *steps.add_steps();
  step.set_step(400);
  for (uint32_t rank = 0; rank < 5; ++rank) {
    v1::RankValues& values = *step.add_ranks();
    values.set_rank(rank);
    values.set_loss(rank == 2 ? 9 : rank < 2 ? rank + 1 : rank);
  }
  return steps;
}

TEST(ExplainTest, ShowsTheRankAgainstTheOthers) {
  v1::ListRanksResponse ranks;
  for (uint32_t rank = 0; rank < 5; ++rank) {
    ranks.add_ranks()->set_rank(rank);
    ranks.mutable_ranks(static_cast<int>(rank))
        ->set_host("node" + std::to_string(rank));
  }
  const std::string text =
      FormatExplanation(OutlierOfRank2(), OneStep(), ranks, kPlain);
  EXPECT_THAT(text, StartsWith("run-7: RankOutlier: rank 2, loss, since step "
                               "400: Its loss is high.\n"));
  EXPECT_THAT(text, HasSubstr("loss           400-412    5.5      0.25  Its"));
  EXPECT_THAT(text, HasSubstr("(gone) Its norm was high."));
  EXPECT_THAT(text, HasSubstr("node2"));
  EXPECT_THAT(text, Not(HasSubstr("node1")));
  // 1, 2, 3, 4 without rank 2's 9.
  EXPECT_THAT(text, HasSubstr("STEP  RANK 2  OTHERS: LOWEST  MEDIAN  HIGHEST"));
  EXPECT_THAT(text,
              HasSubstr(" 400       9               1     2.5        4  <- "));
  EXPECT_THAT(text, HasSubstr("\nLook at first\nLook at the data of the"));
}

TEST(ExplainTest, SaysWhereValuesAreGone) {
  const std::string text = FormatExplanation(OutlierOfRank2(), {}, {}, kPlain);
  EXPECT_THAT(text, HasSubstr("Loss around step 400: no longer in memory"));
}

TEST(ExplainTest, WrapsTheAdvice) {
  v1::Alert alert = OutlierOfRank2();
  std::string advice = "look";
  for (int i = 0; i < 40; ++i) advice += " again";
  alert.set_first_check(advice);
  const std::string text = FormatExplanation(alert, {}, {}, kPlain);
  const std::string wrapped = text.substr(text.find("Look at first\n") + 14);
  size_t begin = 0;
  int lines = 0;
  for (size_t end; (end = wrapped.find('\n', begin)) != std::string::npos;
       begin = end + 1, ++lines) {
    EXPECT_LE(end - begin, 78u);
  }
  // 244 characters.
  EXPECT_EQ(lines, 4);
}

TEST(ExplainTest, AsksForSomeStepsBeforeAndAfter) {
  v1::Alert alert = OutlierOfRank2();
  v1::ListStepsRequest request = StepsAround(alert);
  EXPECT_EQ(request.run(), "run-7");
  EXPECT_EQ(request.from(), 396u);
  EXPECT_EQ(request.to(), 408u);
  EXPECT_TRUE(request.with_ranks());
  alert.set_first_step(1);
  EXPECT_EQ(StepsAround(alert).from(), 0u);
}

TEST(ExplainTest, OneAlertHasToBeMeant) {
  v1::ListAlertsResponse alerts;
  *alerts.add_alerts() = OutlierOfRank2();
  EXPECT_EQ(ChooseAlert(alerts, 7)->run(), "run-7");
  EXPECT_TRUE(absl::IsNotFound(ChooseAlert(alerts, 8).status()));
  *alerts.add_alerts() = OutlierOfRank2();
  alerts.mutable_alerts(1)->set_run("run-8");
  const auto both = ChooseAlert(alerts, 7);
  EXPECT_TRUE(absl::IsInvalidArgument(both.status()));
  EXPECT_THAT(std::string(both.status().message()), HasSubstr("name the run"));
}

}  // namespace
}  // namespace muster::cli
