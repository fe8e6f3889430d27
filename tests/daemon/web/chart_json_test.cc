#include "daemon/web/chart_json.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <cmath>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace muster::web {
namespace {

using google::protobuf::Message;
using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageDifferencer;

// Hard ones to write: all digits, ends of the range, nothing, signs.
constexpr double kValues[] = {
    0,
    -0.0,
    0.1,
    1.0 / 3,
    -2.5,
    1e22,
    1e-7,
    123456789012345678.0,
    std::numeric_limits<double>::max(),
    std::numeric_limits<double>::denorm_min(),
    std::numeric_limits<double>::infinity(),
    -std::numeric_limits<double>::infinity(),
    std::numeric_limits<double>::quiet_NaN(),
};

std::string ProtobufJson(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  EXPECT_TRUE(MessageToJsonString(message, &json, options).ok());
  return json;
}

template <typename Read>
Read ReadAs(const std::string& json) {
  Read read;
  EXPECT_TRUE(JsonStringToMessage(json, &read).ok()) << json;
  return read;
}

MessageDifferencer& SameWithNan(MessageDifferencer& differencer) {
  static google::protobuf::util::DefaultFieldComparator comparator;
  comparator.set_treat_nan_as_equal(true);
  differencer.set_field_comparator(&comparator);
  return differencer;
}

// Reads back as the same message, and to who knows no message as the same as
// what Protocol Buffers write.
template <typename Chart>
void ExpectSame(const Chart& chart) {
  const std::string json = ChartJson(chart);
  MessageDifferencer differencer;
  EXPECT_TRUE(SameWithNan(differencer).Compare(chart, ReadAs<Chart>(json)))
      << json;
  EXPECT_TRUE(MessageDifferencer::Equals(
      ReadAs<google::protobuf::Struct>(json),
      ReadAs<google::protobuf::Struct>(ProtobufJson(chart))))
      << json << "\n"
      << ProtobufJson(chart);
}

TEST(ChartJsonTest, SeriesIsWhatProtocolBuffersWrite) {
  v1::Series series;
  ExpectSame(series);
  series.set_run("run.7:a_b-c");
  series.set_world_size(64);
  series.set_oldest_step(1);
  series.set_newest_step(std::numeric_limits<uint64_t>::max());
  series.set_frames(3);
  series.set_stride(2);
  series.add_columns()->set_name("loss_mean");
  v1::Column& column = *series.add_columns();
  column.set_name("rank_loss");
  column.set_rank(0);
  for (const double value : kValues) {
    series.add_first_step(7);
    series.add_last_step(8);
    column.add_min(value);
    column.add_max(-value);
    column.add_mean(value / 7);
  }
  ExpectSame(series);
}

TEST(ChartJsonTest, HeatmapIsWhatProtocolBuffersWrite) {
  v1::Heatmap heatmap;
  ExpectSame(heatmap);
  heatmap.set_run("r");
  heatmap.set_metric("loss");
  heatmap.set_stride(1);
  for (const float value :
       {0.0F, -0.5F, 8.0F, std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    heatmap.add_first_step(1);
    heatmap.add_last_step(2);
    heatmap.add_ranks(3);
    heatmap.add_values(value);
  }
  ExpectSame(heatmap);
  // Of one that is no short fraction the digits may differ, not the value.
  heatmap.add_values(1.0F / 3);
  EXPECT_EQ(ReadAs<v1::Heatmap>(ChartJson(heatmap)).values(5), 1.0F / 3);
}

TEST(ChartJsonTest, RoundsToTheDigitsAsked) {
  v1::Series series;
  series.set_frames(123'456'789);
  series.add_first_step(123'456'789);
  v1::Column& column = *series.add_columns();
  column.add_mean(2.0 / 3);
  column.add_mean(1.0 / 3e7);
  column.add_mean(123'456'789);
  column.add_mean(-4);
  column.add_mean(std::numeric_limits<double>::quiet_NaN());
  const auto rounded = ReadAs<v1::Series>(ChartJson(series, 3));
  EXPECT_EQ(rounded.frames(), 123'456'789U) << "steps are not rounded";
  EXPECT_EQ(rounded.first_step(0), 123'456'789U);
  const auto& mean = rounded.columns(0).mean();
  EXPECT_EQ(mean[0], 0.667);
  EXPECT_EQ(mean[1], 3.33e-8);
  EXPECT_EQ(mean[2], 1.23e8);
  EXPECT_EQ(mean[3], -4);
  EXPECT_TRUE(std::isnan(mean[4]));
  v1::Heatmap heatmap;
  heatmap.add_values(2.0F / 3);
  EXPECT_EQ(ReadAs<v1::Heatmap>(ChartJson(heatmap, 2)).values(0), 0.67F);
}

}  // namespace
}  // namespace muster::web
