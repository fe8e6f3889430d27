// How much of what a sender says may be refused.
#ifndef MUSTER_DAEMON_INGEST_REFUSAL_LIMIT_H_
#define MUSTER_DAEMON_INGEST_REFUSAL_LIMIT_H_

#include <cstddef>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "daemon/base/mutex.h"

namespace muster::ingest {

// An allowance for each sender that fills up again as time goes by, so that one
// who is refused again and again cannot keep us busy with saying so.
// Thread-safe.
class RefusalLimit {
 public:
  // A client or relay asks again for a rank that was refused after this at the
  // earliest: with an allowance for all sources of a stream none comes near.
  static constexpr absl::Duration kRefill = absl::Seconds(30);

  // `allowance`: refusals at once, and again within kRefill; above 0.
  explicit RefusalLimit(int allowance) : allowance_(allowance) {}

  // A message of so many bytes was refused: that is one refusal, and one more
  // for each whole KiB. False if it is more than the sender may. `now`: the
  // monotonic clock.
  bool Charge(const std::string& sender, size_t bytes, absl::Duration now);
  // Senders that have not got their whole allowance back, for tests.
  size_t remembered() const;

 private:
  struct Spent {
    double amount = 0;
    absl::Duration at;
  };
  // What of it counts at `now`.
  double Left(const Spent& spent, absl::Duration now) const;
  void Forget(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const double allowance_;
  mutable Mutex mutex_;
  std::map<std::string, Spent> spent_ ABSL_GUARDED_BY(mutex_);
  size_t forget_at_ ABSL_GUARDED_BY(mutex_) = 1024;
};

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_REFUSAL_LIMIT_H_
