#include "daemon/runs/snapshot.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace muster::runs {
namespace {

// 1-2-5 steps, so that a histogram covers many decades with few buckets.
std::vector<double> Decades(int first_exponent, int last_exponent) {
  std::vector<double> bounds;
  double decade = 1;
  for (int i = 0; i < first_exponent; ++i) decade *= 10;
  for (int i = first_exponent; i < 0; ++i) decade /= 10;
  for (int e = first_exponent; e <= last_exponent; ++e, decade *= 10) {
    for (double factor : {1.0, 2.0, 5.0}) bounds.push_back(factor * decade);
  }
  return bounds;
}

}  // namespace

Histogram::Histogram(std::vector<double> upper_bounds)
    : bounds(std::move(upper_bounds)), counts(bounds.size() + 1, 0) {}

void Histogram::Observe(double value) {
  // One such value would make the sum useless for ever.
  if (!std::isfinite(value)) return;
  const auto bound = std::lower_bound(bounds.begin(), bounds.end(), value);
  ++counts[bound - bounds.begin()];
  sum += value;
  ++count;
}

RunSnapshot::RunSnapshot()
    : step_loss_stddev(Decades(-4, 1)),
      step_gradient_norm_stddev(Decades(-4, 2)),
      step_gradient_divergence({0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6,
                                0.7, 0.8, 0.9, 0.95, 1, 1.2, 1.5}),
      frame_delay_seconds({0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                           0.25, 0.5, 1, 2.5, 5, 10, 30}) {}

}  // namespace muster::runs
