#include "daemon/web/routes.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "daemon/web/queries.h"

namespace muster::web {
namespace {

constexpr char kJson[] = "application/json";
constexpr char kText[] = "text/plain; charset=utf-8";
constexpr char kPrometheus[] = "text/plain; version=0.0.4; charset=utf-8";

constexpr char kIndex[] = R"(<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Muster</title>
<h1>Muster</h1>
<ul>
<li><a href="/api/v1/runs">Runs</a>
<li><a href="/api/v1/alerts">Alerts</a>
<li><a href="/metrics">Metrics</a>
</ul>
</html>
)";

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  // Readers of JSON expect 0 and false to be there; what is absent is optional.
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  return status.ok() ? json : "{}";
}

template <typename Response>
Reply JsonReply(const absl::StatusOr<Response>& response) {
  if (response.ok()) return {200, kJson, ToJson(*response) + "\n"};
  const int status = absl::IsNotFound(response.status()) ? 404 : 400;
  return ErrorReply(status, std::string(response.status().message()));
}

// User input as it may stand in an answer: short, printable ASCII.
std::string Shown(const std::string& text) {
  std::string shown = text.substr(0, 128);
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  return shown;
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

// Reads the parameters of one request; remembers the first thing wrong.
class ParameterReader {
 public:
  ParameterReader(const Parameters& parameters,
                  std::initializer_list<const char*> allowed)
      : parameters_(parameters) {
    const std::vector<std::string> names(allowed.begin(), allowed.end());
    for (const auto& [name, value] : parameters) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        Fail(absl::StrCat("unknown parameter '", Shown(name), "'; allowed: ",
                          names.empty() ? "none" : absl::StrJoin(names, ", ")));
      } else if (parameters.count(name) > 1) {
        Fail(absl::StrCat("parameter '", name, "' is given twice"));
      }
    }
  }

  std::optional<uint64_t> Number(const std::string& name, uint64_t max) {
    const auto found = parameters_.find(name);
    if (found == parameters_.end()) return std::nullopt;
    const std::string& text = found->second;
    uint64_t value = 0;
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") ==
                                             std::string::npos;
    if (!digits || !absl::SimpleAtoi(text, &value) || value > max) {
      Fail(absl::StrCat("parameter '", name, "' is '", Shown(text),
                        "'; allowed: a whole number, 0 … ", max));
    }
    return value;
  }

  bool Flag(const std::string& name) {
    const auto found = parameters_.find(name);
    if (found == parameters_.end() || found->second == "0") return false;
    if (found->second != "1") {
      Fail(absl::StrCat("parameter '", name, "' is '", Shown(found->second),
                        "'; allowed: 0, 1"));
    }
    return true;
  }

  std::string Text(const std::string& name) {
    const auto found = parameters_.find(name);
    return found == parameters_.end() ? "" : found->second;
  }

  // Empty if all was good.
  const std::string& error() const { return error_; }

 private:
  void Fail(std::string error) {
    if (error_.empty()) error_ = std::move(error);
  }

  const Parameters& parameters_;
  std::string error_;
};

Reply AnswerSteps(const Source& source, const std::string& run,
                  const Parameters& parameters) {
  ParameterReader reader(parameters, {"from", "to", "limit", "ranks"});
  v1::ListStepsRequest request;
  request.set_run(run);
  constexpr uint64_t kMaxStep = uint64_t{1} << 62;
  if (const auto from = reader.Number("from", kMaxStep)) {
    request.set_from(*from);
  }
  if (const auto to = reader.Number("to", kMaxStep)) request.set_to(*to);
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
  if (const auto step = reader.Number("step", uint64_t{1} << 62)) {
    request.set_step(*step);
  }
  if (!reader.error().empty()) return ErrorReply(400, reader.error());
  return JsonReply(GetMatrix(source, request));
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
             const Parameters& parameters) {
  if (path == "/healthz") return {200, kText, "ok\n"};
  if (path == "/readyz") {
    if (source.ready()) return {200, kText, "ready\n"};
    return {503, kText, "not ready: starting or draining\n"};
  }
  if (path == "/metrics") return {200, kPrometheus, source.metrics()};
  if (path == "/") return {200, "text/html; charset=utf-8", kIndex};
  if (path == "/api/v1/runs") return AnswerRuns(source, parameters);
  if (path == "/api/v1/alerts") return AnswerAlerts(source, parameters);

  // /api/v1/runs/{run}/{what}; a run id has no slash.
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  if (parts.size() == 6 && path.starts_with("/api/v1/runs/")) {
    const std::string& run = parts[4];
    if (!IsRunId(run)) return NoSuchRun(run);
    if (parts[5] == "steps") return AnswerSteps(source, run, parameters);
    if (parts[5] == "ranks") return AnswerRanks(source, run, parameters);
    if (parts[5] == "matrix") return AnswerMatrix(source, run, parameters);
  }
  return ErrorReply(404, absl::StrCat("no such path: ", Shown(path)));
}

}  // namespace muster::web
