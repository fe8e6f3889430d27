// One value so far off that no history of orders is needed.
#ifndef MUSTER_DAEMON_DETECT_GROSS_RULE_H_
#define MUSTER_DAEMON_DETECT_GROSS_RULE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/detect/rank_metric.h"

namespace muster::detect {

struct GrossOutlier {
  uint32_t rank = 0;
  double log_ratio = 0;   // log of the value over the median of the others
  double deviations = 0;  // of the log, in pooled robust deviations, ≥ 0
};

inline constexpr double kGrossFactor = 32;
inline constexpr double kGrossDeviations = 12;

// Ranks whose value is more than `factor` times, or less than 1/factor of, the
// median of the others and whose log is more than kGrossDeviations · `spread`
// away from it. `logs` are logarithms, ascending by rank, of values whose
// ordinary unit is their exponential to the power `log_unit` (1, or 1/2 for the
// log of a squared norm). With an even number of others the middle value nearer
// to the rank counts, so that of three ranks the one that is far from both is
// found, and not the others.
//
// Assumption: 32-fold ratios of at least 12 deviations do not occur in health.
// Guarantee: none; heavy tails of the log can break it.
void FindGross(std::span<const RankValue> logs, double log_unit, double spread,
               std::vector<GrossOutlier>& outliers);

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_GROSS_RULE_H_
