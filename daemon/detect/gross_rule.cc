#include "daemon/detect/gross_rule.h"

#include <algorithm>
#include <cmath>

namespace muster::detect {
namespace {

// Deviations beyond this say nothing more, and a spread of 0 would give more.
constexpr double kMostDeviations = 1e6;

}  // namespace

void FindGross(std::span<const RankValue> logs, double log_unit, double spread,
               std::vector<GrossOutlier>& outliers) {
  outliers.clear();
  if (logs.size() < 2) return;
  const double least =
      std::max(std::log(kGrossFactor) / log_unit, kGrossDeviations * spread);
  double low = logs[0].value;
  double high = low;
  for (const RankValue& log : logs) {
    low = std::min(low, log.value);
    high = std::max(high, log.value);
  }
  if (high - low <= least) return;  // as good as always

  std::vector<double> sorted;
  sorted.reserve(logs.size());
  for (const RankValue& log : logs) sorted.push_back(log.value);
  std::sort(sorted.begin(), sorted.end());
  const size_t others = sorted.size() - 1;
  for (const RankValue& log : logs) {
    const size_t self =
        std::lower_bound(sorted.begin(), sorted.end(), log.value) -
        sorted.begin();
    const auto other = [&](size_t i) { return sorted[i < self ? i : i + 1]; };
    const double above = log.value - other(others / 2);
    const double below = other((others - 1) / 2) - log.value;
    const double away = std::max(above, below);
    if (!(away > least)) continue;
    outliers.push_back(
        {log.rank, (above > below ? above : -below) * log_unit,
         std::min(away / std::max(spread, away / kMostDeviations),
                  kMostDeviations)});
  }
}

}  // namespace muster::detect
