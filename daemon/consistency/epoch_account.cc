#include "daemon/consistency/epoch_account.h"

#include <algorithm>
#include <cmath>

namespace muster::consistency {
namespace {

// Fewer draws in the same order may be chance.
constexpr uint32_t kMinOrderDraws = 16;

// SplitMix64's finalizer, as for the sketch (docs/sketch.md).
uint64_t Mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// Standard error of a mean of m values with that sum of squared deviations,
// of which only a share was sampled.
double ErrorOfMean(double squared_deviations, double m, double share) {
  if (m == 0) return 0;
  return std::sqrt((1 - share) * std::max(0.0, squared_deviations)) / m;
}

}  // namespace

void EpochAccount::Sums::Add(const Sample& sample, double sign) {
  const double draws = sample.draws;
  const double repeats = sample.draws - sample.ranks;
  d += sign * draws;
  r += sign * repeats;
  dd += sign * draws * draws;
  dr += sign * draws * repeats;
  rr += sign * repeats * repeats;
}

void EpochAccount::Add(uint32_t rank, uint64_t id) {
  if (rank >= ranks_.size()) ranks_.resize(rank + 1);
  const uint64_t hash = Mix64(id);
  Rank& mine = ranks_[rank];
  if (mine.order_draws < kOrderDraws) {
    mine.order_hash = Mix64(mine.order_hash + hash);
    ++mine.order_draws;
  }
  if (limit_ && hash >= *limit_) return;
  const auto [it, added] = samples_.try_emplace(hash, Sample{rank, 1, 1, 1});
  Sample& sample = it->second;
  if (added) {
    ++mine.distinct;
    sums_.Add(sample, 1);
  } else {
    sums_.Add(sample, -1);
    ++sample.draws;
    if (sample.first_rank == rank) {
      ++sample.first_draws;
      ++mine.repeats;
    } else if (++others_[{hash, rank}] > 1) {
      ++mine.repeats;
    } else {
      ++mine.distinct;
      ++mine.shared;
      if (++sample.ranks == 2) {
        ++shared_;
        ++ranks_[sample.first_rank].shared;
      }
    }
    sums_.Add(sample, 1);
  }
  while (samples_.size() + others_.size() > capacity_) {
    LowerLimit(limit_ ? *limit_ / 2 : uint64_t{1} << 63);
  }
}

void EpochAccount::LowerLimit(uint64_t limit) {
  if (limit_ && *limit_ <= limit) return;
  limit_ = limit;
  Prune();
}

void EpochAccount::Prune() {
  absl::erase_if(samples_,
                 [this](const auto& entry) { return entry.first >= *limit_; });
  absl::erase_if(others_, [this](const auto& entry) {
    return entry.first.first >= *limit_;
  });
  for (Rank& rank : ranks_) rank.distinct = rank.shared = rank.repeats = 0;
  shared_ = 0;
  sums_ = {};
  for (const auto& [hash, sample] : samples_) {
    sums_.Add(sample, 1);
    Rank& first = ranks_[sample.first_rank];
    ++first.distinct;
    first.repeats += sample.first_draws - 1;
    if (sample.ranks > 1) {
      ++shared_;
      ++first.shared;
    }
  }
  for (const auto& [key, draws] : others_) {
    Rank& rank = ranks_[key.second];
    ++rank.distinct;
    ++rank.shared;
    rank.repeats += draws - 1;
  }
}

SampleMeasures EpochAccount::Figures(std::optional<uint64_t> length) const {
  SampleMeasures figures;
  figures.epoch = epoch_;
  figures.kept = samples_.size();
  const auto m = static_cast<double>(figures.kept);
  const double share =
      limit_ ? std::ldexp(static_cast<double>(*limit_), -64) : 1;
  // A limit of 0 keeps nothing, and nothing is known then.
  if (share == 0) return figures;
  figures.distinct = m / share;
  figures.distinct_error = std::sqrt(m * (1 - share)) / share;
  if (length && *length > 0) {
    const auto all = static_cast<double>(*length);
    figures.undrawn_share = std::max(0.0, 1 - figures.distinct / all);
    figures.undrawn_error = figures.distinct_error / all;
  }
  if (m == 0) return figures;
  const double p = static_cast<double>(shared_) / m;
  figures.shared_share = p;
  figures.shared_error = ErrorOfMean(m * p * (1 - p), m, share);
  const double ratio = sums_.r / sums_.d;
  figures.repeat_share = ratio;
  const double deviations =
      sums_.rr - 2 * ratio * sums_.dr + ratio * ratio * sums_.dd;
  figures.repeat_error = ErrorOfMean(deviations, m, share) / (sums_.d / m);
  return figures;
}

std::optional<RankSamples> EpochAccount::FiguresOf(
    uint32_t rank, const EpochAccount* before) const {
  if (rank >= ranks_.size() || ranks_[rank].order_draws == 0) {
    return std::nullopt;
  }
  const Rank& mine = ranks_[rank];
  RankSamples figures;
  figures.drawn = mine.distinct;
  if (mine.distinct > 0) {
    const auto distinct = static_cast<double>(mine.distinct);
    const auto repeats = static_cast<double>(mine.repeats);
    figures.shared_share = static_cast<double>(mine.shared) / distinct;
    figures.repeat_share = repeats / (distinct + repeats);
  }
  if (before != nullptr && rank < before->ranks_.size()) {
    const Rank& then = before->ranks_[rank];
    figures.same_order = mine.order_draws >= kMinOrderDraws &&
                         mine.order_draws == then.order_draws &&
                         mine.order_hash == then.order_hash;
  }
  return figures;
}

}  // namespace muster::consistency
