#include "daemon/detect/trend.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace muster::detect {
namespace {

// Of Gaussian values: the standard deviation over the median absolute one, and
// the standard error of a median over that of a mean, √(π/2).
constexpr double kMadToDeviation = 1.4826;
constexpr double kMedianError = 1.2533;

double TakeMedian(std::vector<double>& values) {
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

std::optional<Trend::Prediction> Trend::Predict() const {
  if (values_.size() < least_ + gap_) return std::nullopt;
  const size_t count = values_.size() - gap_;
  const size_t half = count / 2;
  // Of an odd number the middle one is in neither half.
  const auto begin = values_.begin();
  std::vector<double> scratch(begin, begin + half);
  const double older = TakeMedian(scratch);
  scratch.assign(begin + (count - half), begin + count);
  const double newer = TakeMedian(scratch);
  // Centres of the halves, and how far beyond the next value is.
  const double older_centre = static_cast<double>(half - 1) / 2;
  const double newer_centre = static_cast<double>(count - half) + older_centre;
  const double slope = (newer - older) / (newer_centre - older_centre);
  const double beyond = (static_cast<double>(values_.size()) - newer_centre) /
                        (newer_centre - older_centre);

  scratch.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const double line = newer + slope * (static_cast<double>(i) - newer_centre);
    scratch[i] = std::abs(values_[i] - line);
  }
  const double deviation = kMadToDeviation * TakeMedian(scratch);
  Prediction next;
  next.value = newer + beyond * (newer - older);
  next.error = kMedianError * deviation *
               std::sqrt(((1 + beyond) * (1 + beyond) + beyond * beyond) /
                         static_cast<double>(half));
  return next;
}

}  // namespace muster::detect
