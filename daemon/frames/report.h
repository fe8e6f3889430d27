// What the daemon knows of a source and of one report: plain values, already
// checked by ingest. Shared by all rooms.
#ifndef MUSTER_DAEMON_FRAMES_REPORT_H_
#define MUSTER_DAEMON_FRAMES_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace muster::frames {

// The daemon's monotonic clock: time since an arbitrary origin.
using Instant = absl::Duration;

// A named value that ranks share, compared as text.
struct Fact {
  std::string value;
  bool shown_only = false;  // displayed, never judged

  friend bool operator==(const Fact&, const Fact&) = default;
};
using FactSet = std::map<std::string, Fact>;

// Memory that a set of facts holds, roughly.
inline size_t BytesOf(const FactSet& facts) {
  size_t bytes = 0;
  for (const auto& [name, fact] : facts) {
    // The node of a map has three pointers and a colour beside its value.
    bytes += sizeof(name) + sizeof(fact) + 4 * sizeof(void*) + name.size() +
             fact.value.size();
  }
  return bytes;
}

// Parameters of a run's sketches (docs/sketch.md).
struct SketchSpec {
  uint32_t version = 1;
  uint32_t width = 0;
  uint64_t seed = 0;

  friend bool operator==(const SketchSpec&, const SketchSpec&) = default;
};

// One incarnation of one rank.
struct SourceInfo {
  uint32_t rank = 0;
  uint32_t world_size = 0;
  uint64_t incarnation = 0;
  SketchSpec sketch;
  uint64_t parameter_count = 0;  // 0 if unknown
  std::string host;
  uint32_t pid = 0;
  std::string client_version;
};

// What one rank says about one step. Absent means not given.
struct Report {
  uint32_t rank = 0;
  uint64_t sequence = 0;
  uint64_t step = 0;
  std::optional<double> loss;           // may be NaN or infinite
  std::optional<double> weight;         // > 0, finite
  std::optional<double> gradient_norm;  // ≥ 0, finite
  // `width` little-endian half-precision numbers, all finite, not all zero;
  // empty if there is no direction.
  std::string sketch;
  uint64_t nonfinite_count = 0;
  uint64_t elements_observed = 0;
  int64_t wall_time_unix_nanos = 0;  // the rank's clock: display only
  Instant arrival;                   // at the daemon; set by the assembler
  std::optional<double> step_duration_seconds;  // since its report before, ≥ 0
  // Of its own in this step, without waiting for other ranks, ≥ 0.
  std::optional<double> compute_seconds;
  std::optional<double> learning_rate;
  std::optional<uint64_t> replica_fingerprint;
  std::vector<uint64_t> replica_groups;  // fingerprint of each, ≤ 32
  // `width` little-endian binary32 numbers, all finite; empty if not taken.
  std::string parameter_sketch;
  std::vector<uint64_t> sample_ids;
  std::optional<uint64_t> epoch;  // of sample_ids
  // Ids whose mix64 is not below it were left out.
  std::optional<uint64_t> sample_limit;
  bool sample_ids_are_batches = false;
  bool multiple_backward = false;
  std::optional<double> gradient_scale;
  std::optional<uint32_t> zero_gradient_tensors;
  // ‖parameters − those the ranks last agreed on‖, ≥ 0, finite.
  std::optional<double> local_distance;
  std::string local_sketch;  // of that difference, as parameter_sketch
  // Facts of the source when it made this report; never null in a frame.
  std::shared_ptr<const FactSet> facts;
  // Memory of `facts` if no report before this one had them, else 0.
  size_t facts_bytes = 0;
};

// Memory that a report holds, roughly.
inline size_t BytesOf(const Report& report) {
  return sizeof(report) + report.sketch.size() +
         report.parameter_sketch.size() + report.local_sketch.size() +
         (report.sample_ids.size() + report.replica_groups.size()) *
             sizeof(uint64_t) +
         report.facts_bytes;
}

}  // namespace muster::frames

#endif  // MUSTER_DAEMON_FRAMES_REPORT_H_
