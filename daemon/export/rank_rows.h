// The ranks of a run that have series of their own, with their values.
#ifndef MUSTER_DAEMON_EXPORT_RANK_ROWS_H_
#define MUSTER_DAEMON_EXPORT_RANK_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/runs/snapshot.h"

namespace muster::exposition {

// One rank in the newest frame; absent values were not reported in it.
struct RankRow {
  uint32_t rank = 0;
  std::optional<double> loss;
  std::optional<double> gradient_norm;
  std::optional<double> gradient_cosine;
  std::optional<double> lag_steps;
  bool nonfinite = false;
};

// Ranks in the newest frame and ranks that still report, ascending. If these
// are more than `max_ranks`, only the `deviant_ranks` whose values are farthest
// from the median: largest over all values of distance / (1.4826 × median
// distance), ranks with non-finite values first, then the lower rank.
std::vector<RankRow> RankRows(const runs::RunSnapshot& run, size_t max_ranks,
                              size_t deviant_ranks);

}  // namespace muster::exposition

#endif  // MUSTER_DAEMON_EXPORT_RANK_ROWS_H_
