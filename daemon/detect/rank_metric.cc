#include "daemon/detect/rank_metric.h"

#include <algorithm>
#include <cmath>

namespace muster::detect {
namespace {

// A gradient of norm 0 must stay comparable: far below all others, yet finite.
constexpr double kLeastSquare = 1e-300;
// Clocks resolve no less.
constexpr double kLeastSeconds = 1e-9;

// What the metric's weights explain, if they explain anything.
struct WeightModel {
  bool unequal = false;
  double mean = 0;   // w̄
  double total = 0;  // Σ w_i
};

WeightModel ModelWeights(Metric metric, const consistency::Measures& measures,
                         uint32_t world_size) {
  WeightModel model;
  size_t count = 0;
  double first = 0;
  bool unequal = false;
  for (const consistency::RankMeasures& rank : measures.ranks) {
    if (rank.rank >= world_size || !RawValue(metric, rank)) continue;
    if (!rank.weight || !(*rank.weight > 0)) return WeightModel{};
    if (count == 0) first = *rank.weight;
    unequal = unequal || *rank.weight != first;
    model.total += *rank.weight;
    ++count;
  }
  model.unequal = unequal;
  if (unequal) model.mean = model.total / static_cast<double>(count);
  return model;
}

// Σ w_i x_i / Σ w_i taken out of each x_i, then times √(w_i/w̄).
void Standardize(const consistency::Measures& measures,
                 const WeightModel& weights, std::vector<RankValue>& values) {
  double sum = 0;
  auto rank = measures.ranks.begin();
  const auto weight_of = [&](const RankValue& value) {
    while (rank->rank != value.rank) ++rank;
    return *rank->weight;
  };
  for (const RankValue& value : values) sum += weight_of(value) * value.value;
  rank = measures.ranks.begin();
  for (RankValue& value : values) {
    const double weight = weight_of(value);
    value.value =
        (value.value - sum / weights.total) * std::sqrt(weight / weights.mean);
  }
}

}  // namespace

const char* MetricSubject(Metric metric) {
  switch (metric) {
    case Metric::kLoss:
      return "loss";
    case Metric::kGradientNorm:
      return "gradient_norm";
    case Metric::kDirection:
      return "direction";
    case Metric::kStepTime:
      return "step_time";
  }
  return "unknown";
}

const char* MetricName(Metric metric) {
  switch (metric) {
    case Metric::kLoss:
      return "loss";
    case Metric::kGradientNorm:
      return "gradient norm";
    case Metric::kDirection:
      return "gradient cosine to the others";
    case Metric::kStepTime:
      return "step time";
  }
  return "unknown";
}

std::optional<double> RawValue(Metric metric,
                               const consistency::RankMeasures& rank) {
  std::optional<double> value;
  switch (metric) {
    case Metric::kLoss:
      value = rank.loss;
      break;
    case Metric::kGradientNorm:
      value = rank.gradient_norm;
      break;
    case Metric::kDirection:
      value = rank.gradient_cosine;
      break;
    case Metric::kStepTime:
      value = rank.compute_seconds ? rank.compute_seconds
                                   : rank.step_duration_seconds;
      break;
  }
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return value;
}

void ComparableValues(Metric metric, const consistency::Measures& measures,
                      uint32_t world_size, std::vector<RankValue>& values) {
  values.clear();
  const WeightModel weights = ModelWeights(metric, measures, world_size);
  const double signal = measures.gradient_square.value_or(0);
  const double noise = measures.covariance_trace.value_or(0);
  const bool modelled = weights.unequal && signal > 0 && noise > 0;
  for (const consistency::RankMeasures& rank : measures.ranks) {
    const std::optional<double> raw = RawValue(metric, rank);
    if (!raw || rank.rank >= world_size) continue;
    double value = *raw;
    if (metric == Metric::kGradientNorm) {
      value = std::log(std::max(value * value, kLeastSquare));
      if (modelled) value -= std::log(signal + noise / *rank.weight);
    } else if (metric == Metric::kStepTime) {
      value = std::log(std::max(value, kLeastSeconds));
    } else if (metric == Metric::kDirection && modelled) {
      value *= std::sqrt((signal + noise / *rank.weight) /
                         (signal + noise / weights.mean));
    }
    values.push_back({rank.rank, value});
  }
  const bool standardize = metric == Metric::kLoss
                               ? weights.unequal
                               : metric == Metric::kDirection && modelled;
  if (standardize) Standardize(measures, weights, values);
}

void LogLosses(const consistency::Measures& measures, uint32_t world_size,
               std::vector<RankValue>& values) {
  values.clear();
  for (const consistency::RankMeasures& rank : measures.ranks) {
    const std::optional<double> loss = RawValue(Metric::kLoss, rank);
    if (!loss || rank.rank >= world_size) continue;
    if (!(*loss > 0)) {
      values.clear();
      return;
    }
    values.push_back({rank.rank, std::log(*loss)});
  }
}

}  // namespace muster::detect
