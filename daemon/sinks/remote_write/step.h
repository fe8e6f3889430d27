// The values of one judged step, as they wait to be sent.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_STEP_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_STEP_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "daemon/consistency/measures.h"

namespace muster::sinks::remote_write {

inline constexpr size_t kRunMetrics = 21;
inline constexpr size_t kRankMetrics = 3;

// As on /metrics, where the same names are the values of the newest step.
extern const std::array<const char*, kRunMetrics> kRunMetricNames;
extern const std::array<const char*, kRankMetrics> kRankMetricNames;

// Where a step stands in what was judged under the name of its run: steps of a
// later run of that name come after those of an earlier one.
struct Place {
  int64_t history_run = 0;  // 0 without a history
  uint64_t position = 0;

  friend auto operator<=>(const Place&, const Place&) = default;
};

// NaN: there is no such value, and no sample.
struct Step {
  struct Rank {
    uint32_t rank = 0;
    std::array<double, kRankMetrics> values{};
  };

  Place place;
  // When it was judged, until it has its time; then that of its samples.
  int64_t time_ms = 0;
  // No values: the run has ended, and with it its series.
  bool ended = false;
  std::array<double, kRunMetrics> values{};
  std::vector<Rank> ranks;

  // Memory.
  int64_t bytes() const;
  int64_t samples() const;
};

// `measures`: null where the run ended. Ranks are left out in runs of more than
// `max_ranks`.
Step MakeStep(Place place, absl::Time judged,
              const consistency::Measures* measures, uint32_t max_ranks);

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_STEP_H_
