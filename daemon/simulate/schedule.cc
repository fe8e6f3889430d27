#include "daemon/simulate/schedule.h"

#include <algorithm>
#include <cmath>

namespace muster::simulate {

Schedule::Schedule(const Options& options)
    : options_(options), followed_(RateShare()) {}

void Schedule::Advance() {
  progress_ += RateShare();
  ++step_;
  followed_ += (RateShare() - followed_) / 20;
}

double Schedule::RateShare() const {
  double share = 1;
  if (step_ < options_.warmup_steps) {
    share = (static_cast<double>(step_) + 1) / options_.warmup_steps;
  }
  for (uint64_t drop : options_.lr_drops) {
    if (step_ >= drop) share /= 10;
  }
  return share;
}

double Schedule::learning_rate() const {
  return options_.learning_rate * RateShare();
}

double Schedule::loss_mean() const {
  return options_.loss_end +
         (options_.loss_start - options_.loss_end) *
             std::exp(-progress_ / options_.loss_steps) +
         0.05 * options_.loss_end * followed_;
}

double Schedule::noise_scale() const {
  const double end = std::log(options_.noise_end);
  const double start = std::log(options_.noise_start);
  double noise = std::exp(
      end + (start - end) * std::exp(-progress_ / options_.noise_steps));
  for (const Fault& fault : options_.faults) {
    if (fault.kind == FaultKind::kNoiseScale && fault.ActiveAt(step_)) {
      noise *= fault.size;
    }
  }
  return noise;
}

double Schedule::gradient() const { return 1 + 4 * std::exp(-progress_ / 30); }

}  // namespace muster::simulate
