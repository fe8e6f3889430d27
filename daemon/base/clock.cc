#include "daemon/base/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace muster {

Clock Clock::System() {
  return {
      .monotonic =
          [] {
            return absl::FromChrono(
                std::chrono::steady_clock::now().time_since_epoch());
          },
      .wall = [] { return absl::Now(); },
  };
}

}  // namespace muster
