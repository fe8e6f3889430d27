#include "daemon/detect/standing_ranks.h"

#include <algorithm>
#include <utility>

namespace muster::detect {

void StandingRanks::Raise(Concern concern, uint32_t attempt, uint64_t step,
                          std::vector<Finding>& out) {
  if (ranks_) {
    // The run as a whole covers each rank.
    const bool covered =
        ranks_->empty() ||
        (!concern.ranks.empty() &&
         std::includes(ranks_->begin(), ranks_->end(), concern.ranks.begin(),
                       concern.ranks.end()));
    if (!covered) {
      const uint64_t first_step = first_step_;
      out.push_back(Make(Phase::kReplaced, attempt, step));
      ranks_ = std::move(concern.ranks);
      first_step_ = first_step;
    }
  } else {
    ranks_ = std::move(concern.ranks);
    first_step_ = step;
  }
  Finding finding = Make(Phase::kRaise, attempt, step);
  finding.value = concern.value;
  finding.expected = concern.expected;
  finding.evidence = std::move(concern.evidence);
  out.push_back(std::move(finding));
}

void StandingRanks::Clear(uint32_t attempt, uint64_t step,
                          std::vector<Finding>& out) {
  if (!ranks_) return;
  out.push_back(Make(Phase::kClear, attempt, step));
  ranks_.reset();
}

Finding StandingRanks::Make(Phase phase, uint32_t attempt,
                            uint64_t step) const {
  Finding finding;
  finding.kind = kind_;
  finding.phase = phase;
  finding.subject = subject_;
  finding.ranks = *ranks_;
  finding.attempt = attempt;
  finding.first_step = first_step_;
  finding.last_step = step;
  return finding;
}

}  // namespace muster::detect
