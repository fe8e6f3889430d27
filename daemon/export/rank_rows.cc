#include "daemon/export/rank_rows.h"

#include <algorithm>
#include <map>

#include "daemon/runs/lag.h"
#include "daemon/runs/shown_ranks.h"

namespace muster::exposition {

std::vector<RankRow> RankRows(const runs::RunSnapshot& run) {
  uint32_t world_size = run.world_size;
  if (run.newest) world_size = std::max(world_size, run.newest->ranks_expected);
  const auto shown = [&](uint32_t rank) {
    return world_size <= runs::kMaxRanksWithSeries ||
           std::binary_search(run.shown_ranks.begin(), run.shown_ranks.end(),
                              rank);
  };
  std::map<uint32_t, RankRow> by_rank;
  if (run.newest != nullptr) {
    for (const consistency::RankMeasures& measures : run.newest->ranks) {
      if (!shown(measures.rank)) continue;
      RankRow& row = by_rank[measures.rank];
      row.loss = measures.loss;
      row.gradient_norm = measures.gradient_norm;
      row.gradient_cosine = measures.gradient_cosine;
    }
  }
  const std::optional<uint64_t> newest = runs::NewestReportedStep(run);
  for (const auto& source : run.sources) {
    if (!shown(source.info.rank)) continue;
    const auto lag = runs::LagSteps(run, source, newest);
    if (lag) by_rank[source.info.rank].lag_steps = static_cast<double>(*lag);
  }
  std::vector<RankRow> rows;
  rows.reserve(by_rank.size());
  for (auto& [rank, row] : by_rank) {
    row.rank = rank;
    rows.push_back(row);
  }
  return rows;
}

}  // namespace muster::exposition
