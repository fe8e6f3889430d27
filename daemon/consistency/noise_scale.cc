#include "daemon/consistency/noise_scale.h"

#include <algorithm>
#include <cmath>

namespace muster::consistency {

void NoiseScale::Add(const NoiseEstimate& estimate, bool in_batches) {
  if (in_batches != in_batches_) *this = NoiseScale();
  in_batches_ = in_batches;
  frames_ = std::min(frames_ + 1, kMinimumFrames);
  weights_ = kDecay * weights_ + 1;
  squared_weights_ = kDecay * kDecay * squared_weights_ + 1;
  // West's update of a weighted mean and variance (Comm. ACM 22, 1979).
  const double deviation = estimate.gradient_square - average_.gradient_square;
  average_.gradient_square += deviation / weights_;
  deviations_ = kDecay * deviations_ + deviation * (estimate.gradient_square -
                                                    average_.gradient_square);
  average_.covariance_trace +=
      (estimate.covariance_trace - average_.covariance_trace) / weights_;
}

std::optional<NoiseEstimate> NoiseScale::Average() const {
  if (frames_ == 0) return std::nullopt;
  return average_;
}

std::optional<double> NoiseScale::GradientSquareError() const {
  if (frames_ < 2) return std::nullopt;
  const double inverse_sample_size = squared_weights_ / (weights_ * weights_);
  const double variance = deviations_ / weights_ / (1 - inverse_sample_size);
  return std::sqrt(variance * inverse_sample_size);
}

std::optional<double> NoiseScale::Scale() const {
  if (frames_ < kMinimumFrames ||
      average_.gradient_square <= 3 * *GradientSquareError()) {
    return std::nullopt;
  }
  return average_.covariance_trace / average_.gradient_square;
}

}  // namespace muster::consistency
