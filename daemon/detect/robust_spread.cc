#include "daemon/detect/robust_spread.h"

#include <algorithm>
#include <cmath>

namespace muster::detect {
namespace {

double MedianFactor(size_t count) {
  constexpr double kFew[] = {2.0966, 2.774, 2.206, 1.987,
                             1.873,  1.792, 1.744, 1.706};
  if (count < 10) return kFew[count - 2];
  const auto values = static_cast<double>(count);
  return 1.4826 * values / (values - 1.15);
}

// As SortedMedian, of values in any order, which change places.
double SelectedMedian(std::vector<double>& values) {
  const auto half = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), half, values.end());
  if (values.size() % 2 == 1) return *half;
  return (*std::max_element(values.begin(), half) + *half) / 2;
}

}  // namespace

double SortedMedian(std::span<const double> sorted) {
  const size_t half = sorted.size() / 2;
  if (sorted.size() % 2 == 1) return sorted[half];
  return (sorted[half - 1] + sorted[half]) / 2;
}

double SortedMedianWithout(std::span<const double> sorted, size_t index) {
  const auto at = [&](size_t i) { return sorted[i < index ? i : i + 1]; };
  const size_t count = sorted.size() - 1;
  if (count % 2 == 1) return at(count / 2);
  return (at(count / 2 - 1) + at(count / 2)) / 2;
}

double RobustSpread(std::span<const double> sorted) {
  const size_t count = sorted.size();
  const double median = SortedMedian(sorted);
  // Deviations grow outwards on both sides of the median: merging the two
  // sides meets them in ascending order.
  size_t left = (count + 1) / 2;  // one past the next deviation on the left
  size_t right = left;
  double previous = 0;
  double deviation = 0;
  for (size_t taken = 0; taken <= count / 2; ++taken) {
    previous = deviation;
    if (right >= count ||
        (left > 0 && median - sorted[left - 1] <= sorted[right] - median)) {
      deviation = median - sorted[--left];
    } else {
      deviation = sorted[right++] - median;
    }
  }
  const double mad = count % 2 == 1 ? deviation : (previous + deviation) / 2;
  return mad * MedianFactor(count);
}

MedianAndSpread FindMedianAndSpread(std::vector<double>& values) {
  const double median = SelectedMedian(values);
  for (double& value : values) value = std::abs(value - median);
  return {median, SelectedMedian(values) * MedianFactor(values.size())};
}

SpreadHistory::SpreadHistory(int frames)
    : frames_(static_cast<size_t>(std::max(frames, 1))) {}

void SpreadHistory::Push(double spread) {
  if (ring_.size() < frames_) {
    ring_.push_back(spread);
    sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), spread),
                   spread);
  } else {
    double& oldest = ring_[pushed_ % frames_];
    // The new value takes the old one's place; what lies between moves by one.
    const auto out = std::lower_bound(sorted_.begin(), sorted_.end(), oldest);
    const auto in = std::upper_bound(sorted_.begin(), sorted_.end(), spread);
    if (in > out) {
      std::move(out + 1, in, out);
      *(in - 1) = spread;
    } else {
      std::move_backward(in, out, out + 1);
      *in = spread;
    }
    oldest = spread;
  }
  ++pushed_;
}

void SpreadHistory::Clear() {
  ring_.clear();
  sorted_.clear();
  pushed_ = 0;
}

double SpreadHistory::Pooled() const {
  return sorted_.empty() ? 0 : SortedMedian(sorted_);
}

}  // namespace muster::detect
