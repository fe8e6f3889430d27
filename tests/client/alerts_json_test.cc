#include "client/src/alerts_json.h"

#include <gtest/gtest.h>

#include <limits>

namespace muster {
namespace {

TEST(AlertsJsonTest, NoAlertsAreAnEmptyArray) {
  EXPECT_EQ(AlertsToJson({}), "[]");
}

TEST(AlertsJsonTest, WritesAllFields) {
  const Alert alert = {.id = 18446744073709551615u,
                       .kind = "RankOutlier",
                       .subject = "loss",
                       .ranks = {3, 5},
                       .first_step = 10,
                       .last_step = 20,
                       .value = 2.5,
                       .expected = -0.125,
                       .evidence = "rank 3",
                       .silent = true,
                       .severity = "warning",
                       .explained_by = 2};
  EXPECT_EQ(AlertsToJson({alert}),
            R"([{"id":18446744073709551615,"kind":"RankOutlier",)"
            R"("subject":"loss","ranks":[3,5],"first_step":10,"last_step":20,)"
            R"("value":2.5,"expected":-0.125,"evidence":"rank 3",)"
            R"("silent":true,"severity":"warning","explained_by":2}])");
}

TEST(AlertsJsonTest, EscapesText) {
  const Alert alert = {.evidence = "a\"b\\c\n\x01 1 ≤ 2"};
  EXPECT_NE(
      AlertsToJson({alert}).find(R"("evidence":"a\"b\\c\u000a\u0001 1 ≤ 2")"),
      std::string::npos);
}

TEST(AlertsJsonTest, NumbersThatAreNotFiniteAreNull) {
  const Alert alert = {.value = std::numeric_limits<double>::quiet_NaN(),
                       .expected = std::numeric_limits<double>::infinity()};
  EXPECT_NE(
      AlertsToJson({alert, alert}).find(R"("value":null,"expected":null)"),
      std::string::npos);
}

}  // namespace
}  // namespace muster
