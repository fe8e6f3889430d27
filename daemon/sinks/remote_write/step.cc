#include "daemon/sinks/remote_write/step.h"

#include <cmath>
#include <limits>
#include <optional>

namespace muster::sinks::remote_write {
namespace {

constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

double OrAbsent(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? *value : kAbsent;
}

int64_t CountOf(const auto& values) {
  int64_t count = 0;
  for (const double value : values) count += !std::isnan(value);
  return count;
}

}  // namespace

const std::array<const char*, kRunMetrics> kRunMetricNames = {
    "muster_last_frame_timestamp_seconds",
    "muster_ranks_expected",
    "muster_ranks_reporting",
    "muster_step",
    "muster_loss_mean",
    "muster_loss_stddev",
    "muster_loss_range",
    "muster_gradient_norm_mean",
    "muster_gradient_norm_stddev",
    "muster_gradient_norm_range",
    "muster_gradient_cosine_mean",
    "muster_gradient_cosine_min",
    "muster_gradient_cosine_expected",
    "muster_gradient_noise_scale",
    "muster_replica_values",
    "muster_replica_spread",
    "muster_local_distance_mean",
    "muster_consensus_distance",
    "muster_samples_shared_share",
    "muster_samples_repeat_share",
    "muster_samples_undrawn_share",
};

const std::array<const char*, kRankMetrics> kRankMetricNames = {
    "muster_rank_loss",
    "muster_rank_gradient_norm",
    "muster_rank_gradient_cosine",
};

int64_t Step::bytes() const {
  return static_cast<int64_t>(sizeof(Step) + ranks.capacity() * sizeof(Rank));
}

int64_t Step::samples() const {
  int64_t count = CountOf(values);
  for (const Rank& rank : ranks) count += CountOf(rank.values);
  return count;
}

Step MakeStep(Place place, absl::Time judged,
              const consistency::Measures* measures, uint32_t max_ranks) {
  Step step{.place = place, .time_ms = absl::ToUnixMillis(judged)};
  step.values.fill(kAbsent);
  if (measures == nullptr) {
    step.ended = true;
    return step;
  }
  const consistency::Measures& m = *measures;
  const auto spread = [](const std::optional<consistency::Spread>& of,
                         auto value) {
    return of ? OrAbsent(value(*of)) : kAbsent;
  };
  const auto mean = [](const consistency::Spread& s) { return s.mean; };
  const auto stddev = [](const consistency::Spread& s) { return s.stddev; };
  const auto range = [](const consistency::Spread& s) { return s.range(); };
  step.values = {
      static_cast<double>(absl::ToUnixMicros(judged)) / 1e6,
      static_cast<double>(m.ranks_expected),
      static_cast<double>(m.ranks_reporting),
      static_cast<double>(m.step),
      OrAbsent(m.loss_mean),
      spread(m.loss, stddev),
      spread(m.loss, range),
      spread(m.gradient_norm, mean),
      spread(m.gradient_norm, stddev),
      spread(m.gradient_norm, range),
      OrAbsent(m.cosine_mean),
      OrAbsent(m.cosine_min),
      OrAbsent(m.cosine_expected),
      OrAbsent(m.noise_scale),
      m.replica_ranks > 0 ? static_cast<double>(m.replica_values) : kAbsent,
      OrAbsent(m.replica_spread),
      OrAbsent(m.local_distance_mean),
      OrAbsent(m.consensus_distance),
      m.samples ? OrAbsent(m.samples->shared_share) : kAbsent,
      m.samples ? OrAbsent(m.samples->repeat_share) : kAbsent,
      m.samples ? OrAbsent(m.samples->undrawn_share) : kAbsent,
  };
  if (m.ranks_expected <= max_ranks) {
    step.ranks.reserve(m.ranks.size());
    for (const consistency::RankMeasures& rank : m.ranks) {
      step.ranks.push_back({rank.rank,
                            {OrAbsent(rank.loss), OrAbsent(rank.gradient_norm),
                             OrAbsent(rank.gradient_cosine)}});
    }
  }
  return step;
}

}  // namespace muster::sinks::remote_write
