#include "tests/bench/detection_rules.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace muster::bench {
namespace {

constexpr double kMemory = 0.97;
constexpr uint64_t kFirstFrames = 30;

std::optional<Ranks> SigmaAndTenPercent(const consistency::Measures& measures) {
  if (!measures.loss) return std::nullopt;
  const double least =
      std::max(measures.loss->stddev, 0.1 * std::abs(measures.loss->mean));
  std::optional<Ranks> worst;
  double most = least;
  for (const consistency::RankMeasures& rank : measures.ranks) {
    if (!rank.loss) continue;
    const double away = std::abs(*rank.loss - measures.loss->mean);
    if (away > most) {
      most = away;
      worst = Ranks{rank.rank};
    }
  }
  return worst;
}

double MedianOf(std::vector<double>& values) {
  const auto middle =
      values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

std::optional<Ranks> MedianAbsoluteDeviation(
    const consistency::Measures& measures) {
  std::optional<Ranks> worst;
  double most = 3.5;
  for (const auto metric : {&consistency::RankMeasures::loss,
                            &consistency::RankMeasures::gradient_norm}) {
    std::vector<double> values;
    for (const auto& rank : measures.ranks) {
      if (rank.*metric) values.push_back(*(rank.*metric));
    }
    if (values.size() < 3) continue;
    const double median = MedianOf(values);
    for (double& value : values) value = std::abs(value - median);
    const double deviation = MedianOf(values);
    for (const auto& rank : measures.ranks) {
      if (!(rank.*metric)) continue;
      const double score =
          0.6745 * std::abs(*(rank.*metric) - median) / deviation;
      if (score > most) {
        most = score;
        worst = Ranks{rank.rank};
      }
    }
  }
  return worst;
}

std::optional<Ranks> LowCosine(const consistency::Measures& measures) {
  std::optional<Ranks> worst;
  double least = 0.2;
  for (const consistency::RankMeasures& rank : measures.ranks) {
    if (rank.gradient_cosine && *rank.gradient_cosine < least) {
      least = *rank.gradient_cosine;
      worst = Ranks{rank.rank};
    }
  }
  return worst;
}

std::optional<Ranks> WeightHash(const frames::Frame& frame) {
  std::map<uint64_t, Ranks> by_value;
  for (const frames::Report& report : frame.reports) {
    if (report.replica_fingerprint) {
      by_value[*report.replica_fingerprint].push_back(report.rank);
    }
  }
  if (by_value.size() < 2) return std::nullopt;
  return std::min_element(by_value.begin(), by_value.end(),
                          [](const auto& a, const auto& b) {
                            return a.second.size() < b.second.size();
                          })
      ->second;
}

}  // namespace

std::optional<Ranks> Rules::MeanLoss(const consistency::Measures& measures) {
  // A mean that is not finite is left to what watches for NaN.
  if (!measures.loss_mean) return std::nullopt;
  const double away = *measures.loss_mean - average_;
  const bool alarm =
      frames_ >= kFirstFrames && std::abs(away) > 2.5 * std::sqrt(variance_);
  if (frames_++ == 0) {
    average_ = *measures.loss_mean;
  } else {
    average_ += (1 - kMemory) * away;
    variance_ = kMemory * (variance_ + (1 - kMemory) * away * away);
  }
  if (!alarm) return std::nullopt;
  return Ranks();
}

const Rules::Alarms& Rules::Judge(const frames::Frame& frame,
                                  const consistency::Measures& measures) {
  alarms_ = {MeanLoss(measures), SigmaAndTenPercent(measures),
             MedianAbsoluteDeviation(measures), LowCosine(measures),
             WeightHash(frame)};
  return alarms_;
}

}  // namespace muster::bench
