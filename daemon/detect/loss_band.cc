#include "daemon/detect/loss_band.h"

#include <cmath>

namespace muster::detect {
namespace {

constexpr double kMemory = 0.97;
constexpr double kWidth = 2.5;
constexpr uint64_t kFirstLosses = 32;

}  // namespace

bool LossBand::Inside(std::optional<double> mean_loss) {
  if (!mean_loss || !std::isfinite(*mean_loss)) return false;
  if (count_ == 0) mean_ = *mean_loss;
  const double deviation = *mean_loss - mean_;
  const bool inside = count_ < kFirstLosses ||
                      std::abs(deviation) <= kWidth * std::sqrt(variance_);
  ++count_;
  mean_ += (1 - kMemory) * deviation;
  variance_ = kMemory * variance_ + (1 - kMemory) * deviation * deviation;
  return inside;
}

}  // namespace muster::detect
