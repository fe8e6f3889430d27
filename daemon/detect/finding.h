// What a detector says of one event.
#ifndef MUSTER_DAEMON_DETECT_FINDING_H_
#define MUSTER_DAEMON_DETECT_FINDING_H_

#include <cstdint>
#include <string>
#include <vector>

namespace muster::detect {

// docs/alerts.md describes each.
enum class Kind {
  kNonFinite,
  kFactMismatch,
  kDuplicateShard,
  kRankOutlier,
  kDispersionShift,
  kDirectionShift,
  kRankMissing,
  kRankLagging,
  kRunStalled,
  kShardOverlap,
  kReplicaDrift,
};
inline constexpr int kKindCount = 11;

// "NonFinite", …
const char* KindName(Kind kind);

enum class Phase {
  kRaise,     // there is evidence now; says it again while it lasts
  kClear,     // the evidence is gone
  kReplaced,  // another finding of the detector takes its place
};

// One piece of evidence. What befell the same ranks in the same kind is one
// incident; `subject` tells its pieces apart. A detector that raises again with
// the same kind, ranks and subject continues the same piece.
struct Finding {
  Kind kind = Kind::kNonFinite;
  Phase phase = Phase::kRaise;
  std::string subject;          // "loss", "sampler_seed", …
  std::vector<uint32_t> ranks;  // ascending; empty: the run as a whole
  uint32_t attempt = 0;
  uint64_t first_step = 0;
  uint64_t last_step = 0;
  double value = 0;
  double expected = 0;
  std::string evidence;  // one sentence with units; only in kRaise
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_FINDING_H_
