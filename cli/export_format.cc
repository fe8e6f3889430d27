#include "cli/export_format.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace muster::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Fields of the messages, in the order of the columns. New ones go to the end.
constexpr std::string_view kFrameColumns[] = {"attempt",
                                              "step",
                                              "unix_nanos",
                                              "ranks_expected",
                                              "ranks_reporting",
                                              "superseded",
                                              "loss_mean",
                                              "loss_stddev",
                                              "loss_range",
                                              "gradient_norm_mean",
                                              "gradient_norm_stddev",
                                              "gradient_norm_range",
                                              "gradient_cosine_mean",
                                              "gradient_cosine_min",
                                              "gradient_cosine_expected",
                                              "gradient_noise_scale",
                                              "noise_scale_in_batches",
                                              "step_cosine",
                                              "directions",
                                              "replica_values",
                                              "replica_spread",
                                              "local_distance_mean",
                                              "consensus_distance"};
// Of the frame that a rank's values are in.
constexpr std::string_view kPlaceColumns[] = {"attempt", "step", "unix_nanos"};
constexpr std::string_view kRankColumns[] = {"rank",
                                             "loss",
                                             "weight",
                                             "gradient_norm",
                                             "gradient_cosine",
                                             "divergence",
                                             "nonfinite_count",
                                             "step_duration_seconds",
                                             "replica_differs",
                                             "replica_distance",
                                             "local_distance",
                                             "compute_seconds"};
constexpr std::string_view kAlertColumns[] = {"id",
                                              "kind",
                                              "state",
                                              "severity",
                                              "subject",
                                              "ranks",
                                              "attempt",
                                              "first_step",
                                              "last_step",
                                              "value",
                                              "expected",
                                              "evidence",
                                              "silent",
                                              "changed_unix_nanos",
                                              "fired_unix_nanos",
                                              "explained_by"};

std::string Exact(double value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value);
  return std::string(digits, end.ptr);
}

std::string QuotedJson(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(value, &json);
  return status.ok() ? json : "\"\"";
}

std::string QuotedCsv(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

// A line as its cells come.
class Line {
 public:
  explicit Line(ExportFormat format) : csv_(format == ExportFormat::kCsv) {}

  // Adds fields of a message.
  template <size_t size>
  void Add(const Message& message, const std::string_view (&columns)[size]) {
    for (const std::string_view column : columns) AddField(message, column);
  }
  std::string Finish() const {
    return csv_ ? absl::StrCat(absl::StrJoin(cells_, ","), "\n")
                : absl::StrCat("{", absl::StrJoin(cells_, ","), "}\n");
  }

 private:
  void AddField(const Message& message, std::string_view column) {
    const FieldDescriptor& field =
        *message.GetDescriptor()->FindFieldByName(std::string(column));
    const std::string cell = CellOf(message, field);
    if (csv_) {
      cells_.push_back(cell);
    } else {
      cells_.push_back(absl::StrCat("\"", std::string(column),
                                    "\":", cell.empty() ? "null" : cell));
    }
  }

  // Empty for what is absent.
  std::string CellOf(const Message& message,
                     const FieldDescriptor& field) const {
    const auto& reflection = *message.GetReflection();
    if (field.is_repeated()) return ListOf(message, field);
    if (field.has_presence() && !reflection.HasField(message, &field)) {
      return "";
    }
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.GetBool(message, &field) ? "true" : "false";
      case FieldDescriptor::CPPTYPE_UINT32:
        return absl::StrCat(reflection.GetUInt32(message, &field));
      case FieldDescriptor::CPPTYPE_UINT64:
        return absl::StrCat(reflection.GetUInt64(message, &field));
      case FieldDescriptor::CPPTYPE_INT64:
        return absl::StrCat(reflection.GetInt64(message, &field));
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        const double value = reflection.GetDouble(message, &field);
        return std::isfinite(value) ? Exact(value) : "";
      }
      case FieldDescriptor::CPPTYPE_ENUM:
        return TextOf(reflection.GetEnum(message, &field)->name());
      default:
        return TextOf(reflection.GetString(message, &field));
    }
  }
  std::string TextOf(const std::string& text) const {
    return csv_ ? QuotedCsv(text) : QuotedJson(text);
  }
  // The one kind of list there is: ranks.
  std::string ListOf(const Message& message,
                     const FieldDescriptor& field) const {
    const auto& reflection = *message.GetReflection();
    std::vector<uint32_t> numbers;
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      numbers.push_back(reflection.GetRepeatedUInt32(message, &field, i));
    }
    return csv_ ? absl::StrJoin(numbers, " ")
                : absl::StrCat("[", absl::StrJoin(numbers, ","), "]");
  }

  const bool csv_;
  std::vector<std::string> cells_;
};

}  // namespace

std::string ExportHeader(ExportFormat format, ExportWhat what) {
  if (format == ExportFormat::kJsonLines) return "";
  const auto line = [](const auto& columns) {
    return absl::StrJoin(
        columns, ",",
        [](std::string* out, std::string_view column) { out->append(column); });
  };
  switch (what) {
    case ExportWhat::kFrames:
      return line(kFrameColumns) + "\n";
    case ExportWhat::kRanks:
      return line(kPlaceColumns) + "," + line(kRankColumns) + "\n";
    case ExportWhat::kAlerts:
      return line(kAlertColumns) + "\n";
  }
  return "";
}

std::string ExportLines(ExportFormat format, ExportWhat what,
                        const v1::Step& step) {
  if (what == ExportWhat::kFrames) {
    Line line(format);
    line.Add(step, kFrameColumns);
    return line.Finish();
  }
  std::string lines;
  for (const v1::RankValues& rank : step.ranks()) {
    Line line(format);
    line.Add(step, kPlaceColumns);
    line.Add(rank, kRankColumns);
    lines += line.Finish();
  }
  return lines;
}

std::string ExportLine(ExportFormat format, const v1::Alert& alert) {
  Line line(format);
  line.Add(alert, kAlertColumns);
  return line.Finish();
}

}  // namespace muster::cli
