// Decoded sketches, and which of a frame may be compared: internal to this
// room.
#ifndef MUSTER_DAEMON_CONSISTENCY_DIRECTIONS_H_
#define MUSTER_DAEMON_CONSISTENCY_DIRECTIONS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/frames/frame.h"

namespace muster::consistency {

// Sum of products over the shorter length (vector_sums.h).
double Dot(const std::vector<double>& a, const std::vector<double>& b);

// Elements observed by most of the reports with a gradient norm; the larger
// number where two are as common. Absent if none has a norm.
std::optional<uint64_t> CommonCoverage(const frames::Frame& frame);

// True if the report has a norm over that coverage.
bool HasComparableNorm(const frames::Report& report,
                       std::optional<uint64_t> common_coverage);

// What one pass over the comparable directions u_i of a frame finds.
struct DirectionSums {
  std::vector<size_t> indices;       // into the frame's reports, ascending
  std::vector<double> lengths;       // of the sketches as they came
  std::vector<double> sum;           // S = Σ u_i
  std::vector<double> gradient_sum;  // Σ n_i u_i
  std::vector<double> on_reference;  // u_i · r; empty if r has another width

  size_t count() const { return indices.size(); }
};
DirectionSums SumDirections(const frames::Frame& frame,
                            const std::vector<double>& reference);

// u_i · v for each direction of `sums`, which are those of `frame`. Requires: v
// has the width of the sketches.
std::vector<double> Project(const frames::Frame& frame,
                            const DirectionSums& sums,
                            const std::vector<double>& v);

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_DIRECTIONS_H_
