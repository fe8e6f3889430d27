// Decoded sketches, and which of a frame may be compared: internal to this
// room.
#ifndef MUSTER_DAEMON_CONSISTENCY_DIRECTIONS_H_
#define MUSTER_DAEMON_CONSISTENCY_DIRECTIONS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/frames/frame.h"

namespace muster::consistency {

// Sum of products over the shorter length, in a fixed order.
double Dot(const std::vector<double>& a, const std::vector<double>& b);

// Elements observed by most of the reports with a gradient norm; the larger
// number where two are as common. Absent if none has a norm.
std::optional<uint64_t> CommonCoverage(const frames::Frame& frame);

// True if the report has a norm over that coverage.
bool HasComparableNorm(const frames::Report& report,
                       std::optional<uint64_t> common_coverage);

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_DIRECTIONS_H_
