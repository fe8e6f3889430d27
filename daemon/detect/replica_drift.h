// Replicas that should be the same are not.
#ifndef MUSTER_DAEMON_DETECT_REPLICA_DRIFT_H_
#define MUSTER_DAEMON_DETECT_REPLICA_DRIFT_H_

#include <cstdint>
#include <vector>

#include "daemon/detect/detector.h"
#include "daemon/detect/standing_ranks.h"

namespace muster::detect {

// Compares the fingerprints of the parameters that ranks report for one step.
// Where they differ, those outside the largest group of equal ones are named,
// with the groups of parameters that differ and the relative distance; all are,
// where no group of two or more is larger than any other. One finding, subject
// "parameters", at once. It is cleared by a frame in which the named ranks that
// are present agree with the others; frames without fingerprints say nothing.
//
// A fact `replica_tolerance` above 0 calls ranks equal that are no farther from
// the others than this share of the norm; a rank without a distance (parameters
// that are not finite) differs then if its fingerprint does.
//
// Assumption: plain data parallelism, where each rank applies the same update
// (docs/detection.md has the exceptions). Statistic: equality of 64-bit
// fingerprints. Guarantee: exact, but for a chance of about 2⁻³² that a
// difference is not seen in one comparison.
//
// Thread-compatible.
class ReplicaDrift : public Detector {
 public:
  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  StandingRanks standing_{Kind::kReplicaDrift, "parameters"};
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_REPLICA_DRIFT_H_
