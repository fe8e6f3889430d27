#include "cli/export_format.h"

#include <cstdlib>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ExportFormatTest, ColumnsAreNamedInTheirOrder) {
  EXPECT_THAT(ExportHeader(ExportFormat::kCsv, ExportWhat::kFrames),
              StartsWith("attempt,step,unix_nanos,ranks_expected,"
                         "ranks_reporting,superseded,loss_mean,loss_stddev,"));
  EXPECT_EQ(ExportHeader(ExportFormat::kCsv, ExportWhat::kRanks),
            "attempt,step,unix_nanos,rank,loss,weight,gradient_norm,"
            "gradient_cosine,divergence,nonfinite_count,"
            "step_duration_seconds,replica_differs,replica_distance,"
            "local_distance,compute_seconds\n");
  EXPECT_EQ(ExportHeader(ExportFormat::kJsonLines, ExportWhat::kAlerts), "");
}

TEST(ExportFormatTest, NumbersReadBackAreTheSameBits) {
  v1::Step step;
  for (const double value :
       {0.1, 1.0 / 3, -5e-324, 1.7976931348623157e308, 1e21, -0.0}) {
    step.set_loss_mean(value);
    const std::string line =
        ExportLines(ExportFormat::kCsv, ExportWhat::kFrames, step);
    const std::string start = "0,0,,0,0,false,";
    ASSERT_THAT(line, StartsWith(start));
    const double read = std::strtod(line.c_str() + start.size(), nullptr);
    EXPECT_EQ(std::signbit(read), std::signbit(value));
    EXPECT_EQ(read, value);
  }
}

TEST(ExportFormatTest, AbsentIsEmptyOrNullAndZeroIsNot) {
  v1::Step step;
  step.set_attempt(2);
  step.set_step(7);
  step.set_unix_nanos(1'700'000'000'123'456'789);
  v1::RankValues& rank = *step.add_ranks();
  rank.set_rank(3);
  rank.set_loss(0);
  step.add_ranks()->set_gradient_norm(2.5);
  EXPECT_EQ(ExportLines(ExportFormat::kCsv, ExportWhat::kRanks, step),
            "2,7,1700000000123456789,3,0,,,,,0,,false,,,\n"
            "2,7,1700000000123456789,0,,,2.5,,,0,,false,,,\n");
  EXPECT_THAT(ExportLines(ExportFormat::kJsonLines, ExportWhat::kRanks, step),
              StartsWith("{\"attempt\":2,\"step\":7,\"unix_nanos\":"
                         "1700000000123456789,\"rank\":3,\"loss\":0,"
                         "\"weight\":null,"));
}

TEST(ExportFormatTest, TextsAreQuoted) {
  v1::Alert alert;
  alert.set_id(1);
  alert.set_kind("RankOutlier");
  alert.set_state(v1::FIRING);
  alert.add_ranks(2);
  alert.add_ranks(5);
  alert.set_value(std::numeric_limits<double>::quiet_NaN());
  alert.set_evidence("Rank 2's \"loss\", is\nhigh.");
  EXPECT_THAT(ExportLine(ExportFormat::kCsv, alert),
              HasSubstr(",2 5,0,0,0,,0,\"Rank 2's \"\"loss\"\", is\nhigh.\","));
  const std::string json = ExportLine(ExportFormat::kJsonLines, alert);
  EXPECT_THAT(json, HasSubstr("\"ranks\":[2,5]"));
  EXPECT_THAT(json, HasSubstr("\"state\":\"FIRING\""));
  EXPECT_THAT(json, HasSubstr("\"value\":null"));
  EXPECT_THAT(json, HasSubstr("\\\"loss\\\", is\\nhigh."));
  EXPECT_EQ(json.find('\n'), json.size() - 1);
}

}  // namespace
}  // namespace muster::cli
