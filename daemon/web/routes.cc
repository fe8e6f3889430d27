#include "daemon/web/routes.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/web/chart_json.h"
#include "daemon/web/index.h"
#include "daemon/web/parameters.h"
#include "daemon/web/queries.h"
#include "daemon/web/series.h"

namespace muster::web {
namespace {

constexpr char kJson[] = "application/json";
constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kPrometheus[] = "text/plain; version=0.0.4; charset=utf-8";
// So many are enough for any number to read back to the same.
constexpr uint64_t kMaxDigits = 17;

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  // Readers of JSON expect 0 and false to be there; what is absent is optional.
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  return status.ok() ? json : "{}";
}

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

Reply StatusReply(const absl::Status& status) {
  return ErrorReply(HttpStatusOf(status.code()), std::string(status.message()));
}

template <typename Response>
Reply JsonReply(const absl::StatusOr<Response>& response) {
  if (!response.ok()) return StatusReply(response.status());
  return {200, kJson, ToJson(*response) + "\n"};
}

template <typename Chart>
Reply ChartReply(const absl::StatusOr<Chart>& chart, uint64_t digits) {
  if (!chart.ok()) return StatusReply(chart.status());
  return {200, kJson, ChartJson(*chart, static_cast<int>(digits)) + "\n"};
}

bool IsRunId(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
           c == '_' || c == ':' || c == '-';
  });
}

Reply NoSuchRun(const std::string& run) {
  return ErrorReply(404, absl::StrCat("no run '", Shown(run), "'"));
}

Reply AnswerSteps(const Source& source, const std::string& run,
                  const Parameters& parameters) {
  ParameterReader reader(parameters, {"from", "to", "limit", "ranks"});
  v1::ListStepsRequest request;
  request.set_run(run);
  reader.Steps(request);
  request.set_limit(
      static_cast<uint32_t>(reader.Number("limit", 4096).value_or(0)));
  request.set_with_ranks(reader.Flag("ranks"));
  if (!reader.error().empty()) return ErrorReply(400, reader.error());
  return JsonReply(ListSteps(source, request));
}

Reply AnswerMatrix(const Source& source, const std::string& run,
                   const Parameters& parameters) {
  ParameterReader reader(parameters, {"step"});
  v1::GetMatrixRequest request;
  request.set_run(run);
  if (const auto step = reader.Number("step", ParameterReader::kMaxStep)) {
    request.set_step(*step);
  }
  if (!reader.error().empty()) return ErrorReply(400, reader.error());
  return JsonReply(GetMatrix(source, request));
}

Reply AnswerSeries(const Source& source, const std::string& run,
                   const Parameters& parameters) {
  ParameterReader reader(parameters,
                         {"from", "to", "points", "rank", "digits"});
  v1::GetSeriesRequest request;
  request.set_run(run);
  reader.Steps(request);
  request.set_points(
      static_cast<uint32_t>(reader.Number("points", 4096, 1).value_or(0)));
  const auto ranks = reader.Numbers("rank", 8, UINT32_MAX);
  request.mutable_ranks()->Add(ranks.begin(), ranks.end());
  const uint64_t digits = reader.Number("digits", kMaxDigits, 1).value_or(0);
  if (!reader.error().empty()) return ErrorReply(400, reader.error());
  return ChartReply(GetSeries(source, request), digits);
}

Reply AnswerHeatmap(const Source& source, const std::string& run,
                    const Parameters& parameters) {
  ParameterReader reader(parameters,
                         {"metric", "from", "to", "columns", "digits"});
  v1::GetHeatmapRequest request;
  request.set_run(run);
  request.set_metric(Shown(reader.Text("metric")));
  reader.Steps(request);
  request.set_columns(
      static_cast<uint32_t>(reader.Number("columns", 1024, 1).value_or(0)));
  const uint64_t digits = reader.Number("digits", kMaxDigits, 1).value_or(0);
  if (!reader.error().empty()) return ErrorReply(400, reader.error());
  return ChartReply(GetHeatmap(source, request), digits);
}

Reply AnswerRanks(const Source& source, const std::string& run,
                  const Parameters& parameters) {
  ParameterReader reader(parameters, {});
  if (!reader.error().empty()) return ErrorReply(400, reader.error());
  v1::ListRanksRequest request;
  request.set_run(run);
  return JsonReply(ListRanks(source, request));
}

Reply AnswerAlerts(const Source& source, const Parameters& parameters) {
  ParameterReader reader(parameters, {"run", "firing"});
  v1::ListAlertsRequest request;
  request.set_run(reader.Text("run"));
  request.set_firing_only(reader.Flag("firing"));
  if (!reader.error().empty()) return ErrorReply(400, reader.error());
  if (!request.run().empty() && !IsRunId(request.run())) {
    return NoSuchRun(request.run());
  }
  return JsonReply(ListAlerts(source, request));
}

Reply AnswerRuns(const Source& source, const Parameters& parameters) {
  ParameterReader reader(parameters, {});
  if (!reader.error().empty()) return ErrorReply(400, reader.error());
  return JsonReply(absl::StatusOr<v1::ListRunsResponse>(ListRuns(source)));
}

}  // namespace

Reply ErrorReply(int status, const std::string& message) {
  google::protobuf::Struct error;
  (*error.mutable_fields())["error"].set_string_value(message);
  return {status, kJson, ToJson(error) + "\n"};
}

Reply Answer(const Source& source, const std::string& path,
             const Parameters& parameters, const RequestHeaders& headers) {
  if (path == "/healthz") return {200, kText, "ok\n"};
  if (path == "/readyz") {
    // A relay keeps what upstream cannot take: it is ready nevertheless.
    const std::string more = source.relay ? "; " + source.relay() : "";
    if (source.ready()) return {200, kText, "ready" + more + "\n"};
    return {503, kText, "not ready: starting or draining\n"};
  }
  if (path == "/metrics") {
    return {200, kPrometheus, source.metrics(source.is_shown)};
  }
  if (source.relay && path == "/") {
    return {200, kText,
            absl::StrCat("This is a relay. It judges nothing: ask its "
                         "upstream.\n",
                         source.relay(), "\n/metrics\n/readyz\n")};
  }
  if (source.relay) {
    return ErrorReply(404, absl::StrCat("this is a relay, which has only "
                                        "/metrics, /healthz and /readyz; ",
                                        source.relay()));
  }
  if (path == "/") return AnswerIndex(source.page, headers);
  if (path == "/api/v1/runs") return AnswerRuns(source, parameters);
  if (path == "/api/v1/alerts") return AnswerAlerts(source, parameters);

  // /api/v1/runs/{run}/{what}; a run id has no slash.
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  if (parts.size() == 6 && path.starts_with("/api/v1/runs/")) {
    const std::string& run = parts[4];
    if (!IsRunId(run)) return NoSuchRun(run);
    if (parts[5] == "steps") return AnswerSteps(source, run, parameters);
    if (parts[5] == "ranks") return AnswerRanks(source, run, parameters);
    if (parts[5] == "series") return AnswerSeries(source, run, parameters);
    if (parts[5] == "heatmap") return AnswerHeatmap(source, run, parameters);
    if (parts[5] == "matrix") return AnswerMatrix(source, run, parameters);
  }
  return ErrorReply(404, absl::StrCat("no such path: ", Shown(path)));
}

}  // namespace muster::web
