#include "daemon/export/rank_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "daemon/runs/lag.h"

namespace muster::exposition {
namespace {

double Median(std::vector<double> values) {
  const auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Raises the score of each row by how far its value is from the others'.
void Score(const std::vector<RankRow>& rows,
           std::optional<double> RankRow::*value, std::vector<double>& scores) {
  std::vector<double> values;
  for (const RankRow& row : rows) {
    if (row.*value) values.push_back(*(row.*value));
  }
  if (values.empty()) return;
  const double median = Median(values);
  double squares = 0;
  for (double& x : values) {
    x = std::abs(x - median);
    squares += x * x;
  }
  double scale = 1.4826 * Median(values);
  // More than half are equal, as lags mostly are.
  if (scale == 0) scale = std::sqrt(squares / values.size());
  if (scale == 0) return;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!(rows[i].*value)) continue;
    scores[i] =
        std::max(scores[i], std::abs(*(rows[i].*value) - median) / scale);
  }
}

std::vector<RankRow> MostDeviant(std::vector<RankRow> rows, size_t count) {
  std::vector<double> scores(rows.size(), 0);
  Score(rows, &RankRow::loss, scores);
  Score(rows, &RankRow::gradient_norm, scores);
  Score(rows, &RankRow::gradient_cosine, scores);
  Score(rows, &RankRow::lag_steps, scores);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].nonfinite) scores[i] = std::numeric_limits<double>::infinity();
  }
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&scores](size_t a, size_t b) {
    return scores[a] > scores[b];
  });
  order.resize(std::min(count, order.size()));
  std::sort(order.begin(), order.end());
  std::vector<RankRow> chosen;
  for (const size_t index : order) chosen.push_back(rows[index]);
  return chosen;
}

}  // namespace

std::vector<RankRow> RankRows(const runs::RunSnapshot& run, size_t max_ranks,
                              size_t deviant_ranks) {
  std::map<uint32_t, RankRow> by_rank;
  if (run.newest != nullptr) {
    for (const consistency::RankMeasures& measures : run.newest->ranks) {
      RankRow& row = by_rank[measures.rank];
      row.loss = measures.loss;
      row.gradient_norm = measures.gradient_norm;
      row.gradient_cosine = measures.gradient_cosine;
      row.nonfinite = measures.loss_nonfinite || measures.nonfinite_count > 0;
    }
  }
  const std::optional<uint64_t> newest = runs::NewestReportedStep(run);
  for (const auto& source : run.sources) {
    const auto lag = runs::LagSteps(run, source, newest);
    if (lag) by_rank[source.info.rank].lag_steps = static_cast<double>(*lag);
  }
  std::vector<RankRow> rows;
  rows.reserve(by_rank.size());
  for (auto& [rank, row] : by_rank) {
    row.rank = rank;
    rows.push_back(row);
  }
  if (rows.size() <= max_ranks) return rows;
  return MostDeviant(std::move(rows), deviant_ranks);
}

}  // namespace muster::exposition
