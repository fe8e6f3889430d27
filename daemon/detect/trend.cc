#include "daemon/detect/trend.h"

#include <algorithm>

namespace muster::detect {
namespace {

double MedianOf(std::deque<double>::const_iterator begin,
                std::deque<double>::const_iterator end) {
  std::vector<double> values(begin, end);
  const size_t half = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + half, values.end());
  if (values.size() % 2 == 1) return values[half];
  const double below = *std::max_element(values.begin(), values.begin() + half);
  return (below + values[half]) / 2;
}

}  // namespace

Trend::Trend(size_t window, size_t gap, size_t least)
    : window_(window), gap_(gap), least_(least) {}

void Trend::Push(double value) {
  values_.push_back(value);
  if (values_.size() > window_ + gap_) values_.pop_front();
}

std::optional<double> Trend::Predict() const {
  if (values_.size() < least_ + gap_) return std::nullopt;
  const size_t count = values_.size() - gap_;
  const size_t half = count / 2;
  // Of an odd number the middle one is in neither half.
  const auto older = MedianOf(values_.begin(), values_.begin() + half);
  const auto newer =
      MedianOf(values_.begin() + (count - half), values_.begin() + count);
  // Centres of the halves, and the place of the next value.
  const double older_centre = static_cast<double>(half - 1) / 2;
  const double newer_centre =
      static_cast<double>(count - half) + static_cast<double>(half - 1) / 2;
  const auto next = static_cast<double>(values_.size());
  return newer + (newer - older) / (newer_centre - older_centre) *
                     (next - newer_centre);
}

}  // namespace muster::detect
