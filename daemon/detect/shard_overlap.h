// Ranks draw samples that are not theirs alone.
#ifndef MUSTER_DAEMON_DETECT_SHARD_OVERLAP_H_
#define MUSTER_DAEMON_DETECT_SHARD_OVERLAP_H_

#include <cstdint>
#include <vector>

#include "daemon/detect/detector.h"
#include "daemon/detect/standing_ranks.h"

namespace muster::detect {

// Judges the samples of one epoch (consistency::SampleMeasures), from 32
// samples a rank on. Three subjects:
//   "overlap": more than 1 % of the samples drawn, and surely (4 standard
//     errors) more than N − 1 of them, were drawn by more than one rank. N − 1
//     is what DistributedSampler may draw twice to give all N ranks as many.
//   "repeats": ranks of whose draws more than 1 % were samples that they had
//     drawn before in this epoch.
//   "order": ranks that state that they shuffle and whose first samples are
//     those of the epoch before, in the same order.
// Overlap names the ranks that share at least half as much as the worst one.
// More than half of the ranks (and three at least) are the run as a whole. A
// finding is cleared at the end of a later epoch without it, and by a new
// attempt, which starts the account again.
//
// Assumption: an epoch draws each sample once; where ranks state that they draw
// with replacement, overlap and repeats are not judged. Statistic: counts,
// exact up to the account's limit (consistency/epoch_account.h). Guarantee:
// exact up to it, beyond it that of 4 standard errors.
//
// Thread-compatible.
class ShardOverlap : public Detector {
 public:
  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  // One subject, and the newest epoch with evidence.
  struct Life {
    StandingRanks standing;
    uint64_t epoch = 0;
  };
  void Settle(Life& life, const JudgedFrame& frame, bool found, Concern concern,
              std::vector<Finding>& out);

  Life overlap_{{Kind::kShardOverlap, "overlap"}};
  Life repeats_{{Kind::kShardOverlap, "repeats"}};
  Life order_{{Kind::kShardOverlap, "order"}};
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_SHARD_OVERLAP_H_
