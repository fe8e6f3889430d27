// A layer of one rank gets no gradient.
#ifndef MUSTER_DAEMON_DETECT_ZERO_GRADIENTS_H_
#define MUSTER_DAEMON_DETECT_ZERO_GRADIENTS_H_

#include <cstdint>
#include <vector>

#include "daemon/detect/detector.h"
#include "daemon/detect/standing_ranks.h"

namespace muster::detect {

// A FactMismatch, subject "zero_gradient_tensors": a rank's count of gradient
// tensors that are all zero is not the one that more than half of the ranks
// have, in 3 frames that it is in, in a row. Two ranks that differ are both
// named; without such a majority nobody is. It is cleared by 3 frames in a row
// in which the named ranks that are present agree with the others.
//
// Assumption: ranks of one step run the same layers. Where data decide which
// layers run (experts, skipped branches) counts vary over all ranks, and there
// is no majority. Statistic: equality. Guarantee: exact, for what it says.
//
// Thread-compatible.
class ZeroGradients : public Detector {
 public:
  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  StandingRanks standing_{Kind::kFactMismatch, "zero_gradient_tensors"};
  std::vector<uint32_t> odd_frames_;  // by rank, in a row
  uint32_t even_frames_ = 0;          // in a row, while a finding stands
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_ZERO_GRADIENTS_H_
