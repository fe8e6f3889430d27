#include "daemon/detect/loss_band.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>

namespace muster::detect {
namespace {

constexpr double kMemory = 0.97;
constexpr double kWidth = 2.5;
constexpr double kFarWidth = 10;
constexpr uint64_t kFirstLosses = 32;
constexpr double kChance = 0.015;
constexpr double kLevel = 0.01;
constexpr size_t kFrames = 4096;

// Whether P(Binomial(trials, kChance) ≥ hits) is kLevel or more: its
// complement, the sum of the terms below `hits`, is kept within 1 − kLevel.
bool IsChance(uint64_t hits, uint64_t trials) {
  double term = std::pow(1 - kChance, static_cast<double>(trials));
  double below = 0;
  for (uint64_t k = 0; k < hits; ++k) {
    below += term;
    if (below > 1 - kLevel) return false;
    term *= static_cast<double>(trials - k) / static_cast<double>(k + 1) *
            (kChance / (1 - kChance));
  }
  return true;
}

}  // namespace

void LossBand::Take(uint64_t step, std::optional<double> mean_loss) {
  Counts now = frames_.empty() ? before_ : frames_.back();
  if (!frames_.empty() && step <= frames_.back().step) {
    before_ = frames_.back();
    frames_.clear();
  }
  now.step = step;
  if (mean_loss && !std::isfinite(*mean_loss)) {
    ++now.losses;
    ++now.far_outside;
  } else if (mean_loss) {
    if (count_ == 0) mean_ = *mean_loss;
    const double deviation = *mean_loss - mean_;
    ++now.losses;
    if (count_ >= kFirstLosses) {
      const double sigma = std::sqrt(variance_);
      ++now.judged;
      if (std::abs(deviation) > kWidth * sigma) ++now.outside;
      if (std::abs(deviation) > kFarWidth * sigma) ++now.far_outside;
    }
    ++count_;
    mean_ += (1 - kMemory) * deviation;
    variance_ = kMemory * variance_ + (1 - kMemory) * deviation * deviation;
  }
  frames_.push_back(now);
  if (frames_.size() > kFrames) {
    before_ = frames_.front();
    frames_.pop_front();
  }
}

bool LossBand::Silent(uint64_t first_step) const {
  if (frames_.empty()) return false;
  const Counts& last = frames_.back();
  const auto first = std::lower_bound(
      frames_.begin(), std::prev(frames_.end()), first_step,
      [](const Counts& frame, uint64_t step) { return frame.step < step; });
  const Counts& start = first == frames_.begin() ? before_ : *std::prev(first);
  return last.losses > start.losses && last.far_outside == start.far_outside &&
         IsChance(last.outside - start.outside, last.judged - start.judged);
}

}  // namespace muster::detect
