#include "daemon/detect/residual_windows.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace muster::detect {
namespace {

constexpr size_t kLeastRanks = 4;
constexpr double kMostDeviations = 3;
constexpr size_t kPairsPerFrame = size_t{1} << 20;

// As std::popcount, which looks bytes up in a table by a call, as the oldest
// processors need it: nearly all of the time goes here.
int CountOnes(uint64_t bits) {
  bits -= bits >> 1 & 0x5555555555555555;
  bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
  bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<int>(bits * 0x0101010101010101 >> 56);
}

// Takes the mean and the line out of `count` values and makes them a unit
// vector; all 0 where nothing is left.
void TakeLineOut(float* values, size_t count) {
  const auto n = static_cast<double>(count);
  const double middle = (n - 1) / 2;
  double sum = 0;
  double moment = 0;
  for (size_t t = 0; t < count; ++t) {
    sum += values[t];
    moment += values[t] * (static_cast<double>(t) - middle);
  }
  const double slope = moment / (n * (n * n - 1) / 12);
  double square = 0;
  for (size_t t = 0; t < count; ++t) {
    const double rest =
        values[t] - sum / n - slope * (static_cast<double>(t) - middle);
    values[t] = static_cast<float>(rest);
    square += rest * rest;
  }
  const double scale = square > 1e-12 ? 1 / std::sqrt(square) : 0;
  for (size_t t = 0; t < count; ++t) {
    values[t] = static_cast<float>(values[t] * scale);
  }
}

}  // namespace

double CorrelationTail(size_t frames, double correlation) {
  const double m = static_cast<double>(frames) - 1;
  const double log_beta =
      std::lgamma(0.5) + std::lgamma((m - 2) / 2) - std::lgamma((m - 1) / 2);
  return std::exp((m - 2) / 2 * std::log1p(-correlation * correlation) -
                  std::log((m - 2) * correlation) - log_beta);
}

double CorrelationAt(size_t frames, double probability) {
  double low = 1e-3;  // the tail falls in the correlation
  double high = 1 - 1e-9;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (CorrelationTail(frames, middle) > probability ? low : high) = middle;
  }
  return high;
}

ResidualWindows::ResidualWindows(size_t frames, double least,
                                 double target_frames)
    : frames_(frames),
      least_(least),
      target_frames_(target_frames),
      spreads_(static_cast<int>(frames)) {}

void ResidualWindows::Restart() {
  spreads_.Clear();
  filling_ = Window();
  judged_ = Window();
  ranks_.clear();
  signs_.clear();
  next_ = 0;
}

bool ResidualWindows::Take(const std::vector<RankValue>& losses,
                           uint32_t world_size, uint64_t step,
                           std::vector<ResidualPair>& found) {
  if (world_size != world_size_) {
    Restart();
    world_size_ = world_size;
  }
  Fill(losses, step);
  return LookAtPairs(found);
}

void ResidualWindows::Fill(const std::vector<RankValue>& losses,
                           uint64_t step) {
  if (losses.size() < kLeastRanks) return;
  values_.clear();
  for (const RankValue& loss : losses) values_.push_back(loss.value);
  const auto [median, now] = FindMedianAndSpread(values_);
  spreads_.Push(now);
  // One frame's spread says little where ranks are few.
  const double spread = spreads_.Pooled();
  if (!(spread > 0) || std::isinf(spread)) return;

  if (filling_.frames == 0) {
    filling_.residuals.assign(size_t{world_size_} * frames_, 0);
    filling_.present.assign(world_size_, 0);
    filling_.first_step = step;
  }
  for (const RankValue& loss : losses) {
    filling_.residuals[loss.rank * frames_ + filling_.frames] =
        static_cast<float>(std::clamp((loss.value - median) / spread,
                                      -kMostDeviations, kMostDeviations));
    ++filling_.present[loss.rank];
  }
  if (++filling_.frames < frames_) return;
  std::swap(filling_, judged_);
  filling_.frames = 0;
  Standardise();
}

void ResidualWindows::Standardise() {
  ranks_.clear();
  signs_.clear();
  for (uint32_t rank = 0; rank < world_size_; ++rank) {
    if (judged_.present[rank] < frames_) continue;
    float* values = &judged_.residuals[rank * frames_];
    TakeLineOut(values, frames_);
    uint64_t signs = 0;
    for (size_t t = 0; t < frames_; ++t) {
      signs |= uint64_t{values[t] > 0} << t;
    }
    ranks_.push_back(rank);
    signs_.push_back(signs);
  }
  next_ = 0;
  const double pairs = static_cast<double>(ranks_.size()) *
                       (static_cast<double>(ranks_.size()) - 1) / 2;
  least_now_ = std::max(
      least_,
      CorrelationAt(frames_, static_cast<double>(frames_) /
                                 (target_frames_ * std::max(pairs, 1.0))));
}

bool ResidualWindows::LookAtPairs(std::vector<ResidualPair>& found) {
  const int most_unlike = static_cast<int>(frames_ * 3 / 10);
  size_t looked_at = 0;
  if (next_ >= ranks_.size()) return false;
  while (next_ < ranks_.size() && looked_at < kPairsPerFrame) {
    const size_t i = next_++;
    const uint64_t signs = signs_[i];
    const float* a = &judged_.residuals[ranks_[i] * frames_];
    for (size_t j = i + 1; j < ranks_.size(); ++j) {
      if (CountOnes(signs ^ signs_[j]) > most_unlike) continue;
      const float* b = &judged_.residuals[ranks_[j] * frames_];
      double correlation = 0;
      for (size_t t = 0; t < frames_; ++t) {
        correlation += static_cast<double>(a[t]) * b[t];
      }
      if (correlation >= least_now_) {
        found.push_back({ranks_[i], ranks_[j], correlation});
      }
    }
    looked_at += ranks_.size() - i;
  }
  return next_ >= ranks_.size();
}

}  // namespace muster::detect
