#include "daemon/web/queries.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/web/query_build.h"
#include "daemon/wire/alert_proto.h"

namespace muster::web {
namespace {

using Snapshot = std::shared_ptr<const runs::RunSnapshot>;

constexpr uint32_t kDefaultSteps = 100;
constexpr uint32_t kMaxSteps = 4096;
// Values of ranks in one answer: some 50 MB of JSON.
constexpr size_t kMaxRankValues = size_t{1} << 18;
// Pairs grow with the square: 1,024 ranks are a million cosines.
constexpr size_t kMaxMatrixRanks = 1024;

absl::StatusOr<Snapshot> Find(const Source& source, const std::string& run) {
  Snapshot snapshot = source.snapshot(run);
  if (snapshot == nullptr) {
    return absl::NotFoundError(absl::StrCat("no run '", run, "'"));
  }
  return snapshot;
}

}  // namespace

v1::ListRunsResponse ListRuns(const Source& source) {
  v1::ListRunsResponse response;
  for (const Snapshot& run : source.snapshots()) {
    *response.add_runs() = BuildRun(*run);
  }
  response.set_daemon_version(source.version);
  return response;
}

absl::StatusOr<v1::ListRanksResponse> ListRanks(
    const Source& source, const v1::ListRanksRequest& request) {
  const auto run = Find(source, request.run());
  if (!run.ok()) return run.status();
  return BuildRanks(**run);
}

absl::StatusOr<v1::ListStepsResponse> ListSteps(
    const Source& source, const v1::ListStepsRequest& request) {
  if (request.limit() > kMaxSteps) {
    return absl::InvalidArgumentError(absl::StrCat(
        "limit is ", request.limit(), "; allowed: 0 … ", kMaxSteps));
  }
  const auto run = Find(source, request.run());
  if (!run.ok()) return run.status();
  std::optional<uint64_t> from;
  if (request.has_from()) from = request.from();
  std::optional<uint64_t> to;
  if (request.has_to()) to = request.to();
  if (from && to && *from > *to) {
    return absl::InvalidArgumentError(
        absl::StrCat("from is ", *from, "; allowed: at most to, ", *to));
  }
  const uint32_t limit = request.limit() == 0 ? kDefaultSteps : request.limit();
  v1::ListStepsResponse response;
  size_t rank_values = 0;
  for (const auto& entry : (*run)->store->Range(from, to, limit)) {
    rank_values += entry.measures->ranks.size();
    if (request.with_ranks() && rank_values > kMaxRankValues) {
      return absl::InvalidArgumentError(
          absl::StrCat("values of ranks are limited to ", kMaxRankValues,
                       " in one answer; ask for fewer steps"));
    }
    *response.add_steps() = BuildStep(entry, request.with_ranks());
  }
  return response;
}

absl::StatusOr<v1::Matrix> GetMatrix(const Source& source,
                                     const v1::GetMatrixRequest& request) {
  const auto run = Find(source, request.run());
  if (!run.ok()) return run.status();
  std::optional<uint64_t> step;
  if (request.has_step()) step = request.step();
  const auto entry = (*run)->store->Whole(step);
  if (!entry) {
    return absl::NotFoundError(
        step
            ? absl::StrCat("step ", *step,
                           " is not, or no longer, in memory with its sketches")
            : "no frame with sketches is in memory");
  }
  if (entry->frame->reports.size() > kMaxMatrixRanks) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the frame has ", entry->frame->reports.size(),
        " ranks; allowed: at most ", kMaxMatrixRanks, " for a matrix"));
  }
  return BuildMatrix(*entry->frame);
}

absl::StatusOr<v1::ListAlertsResponse> ListAlerts(
    const Source& source, const v1::ListAlertsRequest& request) {
  std::vector<Snapshot> runs;
  if (request.run().empty()) {
    runs = source.snapshots();
  } else {
    const auto run = Find(source, request.run());
    if (!run.ok()) return run.status();
    runs.push_back(*run);
  }
  std::vector<v1::Alert> alerts;
  for (const Snapshot& run : runs) {
    for (const alert::Alert& alert : run->alerts) {
      const bool firing = alert.state == alert::State::kFiring;
      if (request.firing_only() && !firing) continue;
      alerts.push_back(wire::ToFullProto(run->run, alert));
    }
  }
  std::stable_sort(alerts.begin(), alerts.end(),
                   [](const v1::Alert& a, const v1::Alert& b) {
                     const auto key = [](const v1::Alert& alert) {
                       return std::make_tuple(alert.state() != v1::FIRING,
                                              -alert.changed_unix_nanos());
                     };
                     return key(a) < key(b);
                   });
  v1::ListAlertsResponse response;
  for (v1::Alert& alert : alerts) *response.add_alerts() = std::move(alert);
  return response;
}

}  // namespace muster::web
