// Which ranks of one frame look as if they trained on the same samples.
#ifndef MUSTER_DAEMON_DETECT_DUPLICATE_GROUPS_H_
#define MUSTER_DAEMON_DETECT_DUPLICATE_GROUPS_H_

#include <cstddef>
#include <vector>

#include "daemon/consistency/measures.h"
#include "daemon/frames/frame.h"

namespace muster::detect {

// For each report of the frame the index of the first report of its group, the
// report's own index if it is alone. Two reports are linked if they list the
// same samples (in any order, one at least) or are a pair of `lookalikes`, of
// which those of absent ranks are passed over; a group is what links connect.
std::vector<size_t> GroupDuplicates(
    const frames::Frame& frame,
    const std::vector<consistency::RankPair>& lookalikes);

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_DUPLICATE_GROUPS_H_
