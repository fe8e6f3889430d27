// What all ranks share at a step of a synthetic run: internal to this room.
#ifndef MUSTER_DAEMON_SIMULATE_SCHEDULE_H_
#define MUSTER_DAEMON_SIMULATE_SCHEDULE_H_

#include <cstdint>

#include "daemon/simulate/options.h"

namespace muster::simulate {

// Moves along with training, one step at a time. Progress s is the sum of the
// learning rates so far, in units of the full one:
//   loss mean      end + (start − end) e^(−s/loss_steps) + 0.05 end · f, where
//                  f follows the learning rate within 20 steps
//   noise scale    ln(B/b) from ln start to ln end as e^(−s/noise_steps)
//   gradient       |G| = 1 + 4 e^(−s/30)
// Thread-compatible.
class Schedule {
 public:
  explicit Schedule(const Options& options);

  // To the next step; at step 0 after construction.
  void Advance();

  uint64_t step() const { return step_; }
  double learning_rate() const;
  double loss_mean() const;
  // B/b, faults included.
  double noise_scale() const;
  // |G|.
  double gradient() const;

 private:
  // Learning rate over the full one.
  double RateShare() const;

  const Options& options_;
  uint64_t step_ = 0;
  double progress_ = 0;
  double followed_ = 0;  // f
};

}  // namespace muster::simulate

#endif  // MUSTER_DAEMON_SIMULATE_SCHEDULE_H_
