// Which ranks of one frame look as if they trained on the same samples.
#ifndef MUSTER_DAEMON_DETECT_DUPLICATE_GROUPS_H_
#define MUSTER_DAEMON_DETECT_DUPLICATE_GROUPS_H_

#include <cstddef>
#include <vector>

#include "daemon/frames/frame.h"

namespace muster::detect {

inline constexpr double kDuplicateTolerance = 1e-5;  // relative
inline constexpr double kDuplicateCosine = 0.9999;

// For each report of the frame the index of the first report of its group, the
// report's own index if it is alone. Two reports are linked if they list the
// same samples (in any order, one at least), or if loss and gradient norm are
// equal to kDuplicateTolerance and the cosine of their directions is at least
// kDuplicateCosine; a group is what links connect. Zero losses and zero
// gradients link nothing: they are equal without sharing data.
//
// Candidates are neighbours in sorted order, eight at most for each report, so
// that a frame costs O(N log N) and few cosines.
std::vector<size_t> GroupDuplicates(const frames::Frame& frame);

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_DUPLICATE_GROUPS_H_
