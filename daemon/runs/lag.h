// How far a rank is behind its run, as the API and the metrics show it.
#ifndef MUSTER_DAEMON_RUNS_LAG_H_
#define MUSTER_DAEMON_RUNS_LAG_H_

#include <algorithm>
#include <cstdint>
#include <optional>

#include "daemon/runs/snapshot.h"

namespace muster::runs {

// Highest step that a rank of the current attempt has reported; absent before
// the first report.
inline std::optional<uint64_t> NewestReportedStep(const RunSnapshot& run) {
  std::optional<uint64_t> newest;
  for (const auto& source : run.sources) {
    if (!source.has_reported || source.attempt != run.attempt) continue;
    newest = std::max(newest.value_or(0), source.last_step);
  }
  return newest;
}

// Steps of `source` behind `newest`; absent where its steps cannot be compared:
// it has not reported, is in another attempt, or has left.
inline std::optional<uint64_t> LagSteps(
    const RunSnapshot& run, const frames::FrameAssembler::SourceState& source,
    std::optional<uint64_t> newest) {
  if (!newest || !source.has_reported || source.departed ||
      source.attempt != run.attempt) {
    return std::nullopt;
  }
  return *newest - std::min(*newest, source.last_step);
}

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_LAG_H_
