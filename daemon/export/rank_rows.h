// The ranks of a run that have series of their own, with their values.
#ifndef MUSTER_DAEMON_EXPORT_RANK_ROWS_H_
#define MUSTER_DAEMON_EXPORT_RANK_ROWS_H_

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
};

// Ranks in the newest frame and ranks that still report, ascending. Where the
// world is larger than runs::kMaxRanksWithSeries, only the snapshot's
// shown_ranks of them.
std::vector<RankRow> RankRows(const runs::RunSnapshot& run);

}  // namespace muster::exposition

#endif  // MUSTER_DAEMON_EXPORT_RANK_ROWS_H_
