// A clock that moves when a test says so.
#ifndef MUSTER_TESTS_TESTING_FAKE_CLOCK_H_
#define MUSTER_TESTS_TESTING_FAKE_CLOCK_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "daemon/base/clock.h"

namespace muster::testing {

// Thread-safe. Starts at 1,000 s, monotonic and wall alike.
class FakeClock {
 public:
  Clock clock() const {
    return {
        .monotonic = [now = now_] { return absl::Nanoseconds(now->load()); },
        .wall = [now = now_] { return absl::FromUnixNanos(now->load()); }};
  }
  void Advance(absl::Duration by) { *now_ += absl::ToInt64Nanoseconds(by); }

 private:
  std::shared_ptr<std::atomic<int64_t>> now_ =
      std::make_shared<std::atomic<int64_t>>(1'000'000'000'000);
};

}  // namespace muster::testing

#endif  // MUSTER_TESTS_TESTING_FAKE_CLOCK_H_
