#include "daemon/detect/group_values.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "daemon/detect/robust_spread.h"

namespace muster::detect {
namespace {

constexpr double kLeastCosine = 0.005;
constexpr uint64_t kReferenceSteps = 16;
constexpr size_t kReferenceFrames = 5;

double LogWeight(const consistency::Measures& measures) {
  double inverses = 0;
  for (const consistency::RankMeasures& rank : measures.ranks) {
    if (!rank.weight || !(*rank.weight > 0)) return 0;
    inverses += 1 / *rank.weight;
  }
  if (!(inverses > 0)) return 0;
  return std::log(static_cast<double>(measures.ranks.size()) / inverses);
}

std::optional<double> LogSpread(std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  const double spread = FindMedianAndSpread(values).spread;
  if (!(spread > 0) || std::isinf(spread)) return std::nullopt;
  return std::log(spread);
}

std::optional<double> LogLossSpread(const consistency::Measures& measures) {
  std::vector<double> losses;
  losses.reserve(measures.ranks.size());
  for (const consistency::RankMeasures& rank : measures.ranks) {
    if (rank.loss && std::isfinite(*rank.loss)) losses.push_back(*rank.loss);
  }
  return LogSpread(losses);
}

std::optional<double> LogNormSpread(const consistency::Measures& measures) {
  std::vector<double> log_norms;
  log_norms.reserve(measures.ranks.size());
  for (const consistency::RankMeasures& rank : measures.ranks) {
    if (rank.gradient_norm && *rank.gradient_norm > 0) {
      log_norms.push_back(std::log(*rank.gradient_norm));
    }
  }
  return LogSpread(log_norms);
}

}  // namespace

GroupValues GroupValuesOf(const consistency::Measures& measures,
                          std::span<const GroupMetric> metrics) {
  GroupValues group;
  if (4 * measures.ranks.size() <= 3 * uint64_t{measures.ranks_expected}) {
    return group;
  }
  group.log_weight = LogWeight(measures);
  for (GroupMetric metric : metrics) {
    std::optional<double>& value = group.values[static_cast<size_t>(metric)];
    switch (metric) {
      case GroupMetric::kLoss:
        value = LogLossSpread(measures);
        if (value) *value += group.log_weight / 2;
        break;
      case GroupMetric::kGradientNorm:
        value = LogNormSpread(measures);
        break;
      case GroupMetric::kDirection:
        if (!measures.cosine_mean) break;
        const double cosine =
            std::clamp(*measures.cosine_mean, kLeastCosine, 1 - kLeastCosine);
        value = std::log(cosine / (1 - cosine)) - group.log_weight;
        break;
    }
  }
  return group;
}

double NaturalValue(GroupMetric metric, double value, double log_weight) {
  switch (metric) {
    case GroupMetric::kLoss:
      return std::exp(value - log_weight / 2);
    case GroupMetric::kGradientNorm:
      return std::exp(value);
    case GroupMetric::kDirection:
      return 1 / (1 + std::exp(-value - log_weight));
  }
  return 0;
}

void ReferenceCurve::Add(uint64_t step, const GroupValues& values) {
  by_step_[step] = values;
}

std::optional<double> ReferenceCurve::At(GroupMetric metric,
                                         uint64_t step) const {
  const uint64_t first = step - std::min(step, kReferenceSteps);
  std::vector<double> values;
  for (auto it = by_step_.lower_bound(first);
       it != by_step_.end() && it->first <= step + kReferenceSteps; ++it) {
    if (it->second[metric]) values.push_back(*it->second[metric]);
  }
  if (values.size() < kReferenceFrames) return std::nullopt;
  std::sort(values.begin(), values.end());
  return SortedMedian(values);
}

}  // namespace muster::detect
