// What the readers of a run see: immutable, swapped as a whole after each
// frame. export and web read nothing else.
#ifndef MUSTER_DAEMON_RUNS_SNAPSHOT_H_
#define MUSTER_DAEMON_RUNS_SNAPSHOT_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/alert/alert.h"
#include "daemon/consistency/measures.h"
#include "daemon/frames/assembler.h"
#include "daemon/runs/frame_store.h"

namespace muster::runs {

enum class RunState {
  kLive,    // at least one source is connected
  kSilent,  // none is, and not all have said Goodbye
  kEnded,   // all ranks have said Goodbye
};

// A histogram of non-negative values; what is not finite is left out: counts[i]
// of values ≤ bounds[i], not cumulative; the last count is of values above all
// bounds.
struct Histogram {
  std::vector<double> bounds;
  std::vector<uint64_t> counts;  // bounds.size() + 1
  double sum = 0;
  uint64_t count = 0;

  explicit Histogram(std::vector<double> upper_bounds);
  void Observe(double value);
};

struct RunSnapshot {
  std::string run;
  RunState state = RunState::kSilent;
  frames::Instant state_since;  // daemon's monotonic clock
  uint32_t attempt = 0;
  uint32_t world_size = 0;
  std::vector<frames::FrameAssembler::AttemptState> attempts;
  std::vector<frames::FrameAssembler::SourceState> sources;  // by rank

  // The newest judged frame; null before the first.
  std::shared_ptr<const consistency::Measures> newest;
  absl::Time newest_time;  // wall clock when it was judged
  // Ranks with series of their own where the world is larger than
  // kMaxRanksWithSeries (shown_ranks.h); ascending.
  std::vector<uint32_t> shown_ranks;

  std::vector<alert::Alert> alerts;  // alive, then resolved, newest first
  std::array<uint64_t, detect::kKindCount> alerts_firing{};
  std::array<uint64_t, detect::kKindCount> alerts_total{};

  uint64_t frames_complete = 0;
  uint64_t frames_partial = 0;
  uint64_t reports_received = 0;
  uint64_t reports_late = 0;
  uint64_t reports_duplicate = 0;
  uint64_t reports_dropped_client = 0;  // gaps in sequence

  Histogram step_loss_stddev;
  Histogram step_gradient_norm_stddev;
  Histogram step_gradient_divergence;  // 1 − mean cosine
  Histogram frame_delay_seconds;       // last report in → judged

  // Number of the run in the history; 0 while nothing of it is there.
  int64_t history_run = 0;

  // Frames in memory; never null.
  std::shared_ptr<const FrameStore> store;

  RunSnapshot();
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_SNAPSHOT_H_
