// The two clocks of the daemon. Only its outermost objects hold one; tests
// pass their own.
#ifndef MUSTER_DAEMON_BASE_CLOCK_H_
#define MUSTER_DAEMON_BASE_CLOCK_H_

#include <functional>

#include "absl/time/time.h"

namespace muster {

struct Clock {
  // Time since an arbitrary origin; never goes back.
  std::function<absl::Duration()> monotonic;
  // Time of day, for display.
  std::function<absl::Time()> wall;

  // The machine's clocks.
  static Clock System();
};

}  // namespace muster

#endif  // MUSTER_DAEMON_BASE_CLOCK_H_
