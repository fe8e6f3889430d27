// Whether ranks have the same parameters, and how far apart they are: internal
// to this room.
#ifndef MUSTER_DAEMON_CONSISTENCY_PARAMETERS_H_
#define MUSTER_DAEMON_CONSISTENCY_PARAMETERS_H_

#include "daemon/consistency/measures.h"
#include "daemon/frames/frame.h"

namespace muster::consistency {

// Both fill in what Measures and RankMeasures say of them; `measures.ranks` has
// one entry for each report. A distance ‖x − y‖ is the length of the difference
// of two sketches, which are linear: its standard error is the share 1/√(2k)
// of it, for sketches of k numbers (docs/sketch.md).

// Replicas that should be the same: fingerprints, their groups, their spread.
// A fingerprint is compared with fingerprints only, a sketch with sketches.
void MeasureReplicas(const frames::Frame& frame, Measures& measures);

// Local-update training: consensus distance √(Σ‖d_i − d̄‖²/N) of the changes d_i
// since all had the same parameters, which are then x_i − x̄. Its standard error
// is at most the share 1/√(2k), reached where all d_i − d̄ are parallel.
void MeasureLocalUpdates(const frames::Frame& frame, Measures& measures);

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_PARAMETERS_H_
