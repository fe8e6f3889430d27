// One alert that goes on while the ranks it names may vary a little.
#ifndef MUSTER_DAEMON_DETECT_STANDING_RANKS_H_
#define MUSTER_DAEMON_DETECT_STANDING_RANKS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/detect/finding.h"

namespace muster::detect {

// What a detector holds against some ranks, or (no ranks) the run as a whole.
struct Concern {
  std::vector<uint32_t> ranks;  // ascending
  double value = 0;
  double expected = 0;
  std::string evidence;
};

// The findings of one kind and subject over time: at most one stands. Ranks
// that are already named stay named; a rank that is not, or the run as a whole,
// takes the place of the finding that stands. Thread-compatible.
class StandingRanks {
 public:
  StandingRanks(Kind kind, std::string subject)
      : kind_(kind), subject_(std::move(subject)) {}

  // There is evidence at this step.
  void Raise(Concern concern, uint32_t attempt, uint64_t step,
             std::vector<Finding>& out);
  // The evidence is gone; nothing if nothing stands.
  void Clear(uint32_t attempt, uint64_t step, std::vector<Finding>& out);

  bool stands() const { return ranks_.has_value(); }
  // Requires stands().
  const std::vector<uint32_t>& ranks() const { return *ranks_; }

 private:
  Finding Make(Phase phase, uint32_t attempt, uint64_t step) const;

  const Kind kind_;
  const std::string subject_;
  std::optional<std::vector<uint32_t>> ranks_;
  uint64_t first_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_STANDING_RANKS_H_
