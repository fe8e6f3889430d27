// Delivers steps to one receiver: what is retried, divided, or given up.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_SENDER_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_SENDER_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/sinks/http_client.h"
#include "daemon/sinks/remote_write/options.h"
#include "daemon/sinks/remote_write/request.h"
#include "daemon/sinks/remote_write/step.h"

namespace muster::sinks::remote_write {

// What became of samples.
enum class Fate {
  kSent,     // answered with 2xx
  kPresent,  // refused, having been sent before without an answer
  kRefused,  // answered with another 4xx, and given up
};

// How long to wait after the n-th failure in a row, n ≥ 1: from 250 ms, doubled
// each time, to 30 s, of which a random part of up to one half is taken off.
// `random`: 0 … 1.
absl::Duration BackoffAfter(int failures, double random);

// What the sender needs of the world; tests have their own.
struct SenderWorld {
  std::function<absl::StatusOr<HttpResponse>(std::string_view body)> post;
  // Sleeps; false if it is time to stop.
  std::function<bool(absl::Duration)> wait;
  std::function<double()> random;  // uniform, 0 … 1
  // A line for people, once when the receiver fails and once when it is back,
  // and the first of each kind of refusal in a row.
  std::function<void(bool failing, const std::string& line)> tell;
  std::function<void(Fate fate, int64_t samples)> count;
  std::function<void()> count_retry;
};

// A receiver takes a request as a whole or not at all, and says 400 where a
// sample is not newer than what it has. So a request that it refuses is sent
// again in halves, down to single steps: what it has already is refused again,
// the newest of that, being identical, is taken, and the rest is taken for the
// first time. Thread-compatible.
class Sender {
 public:
  Sender(const Options& options, SenderWorld world);

  // Blocks until each step is delivered or given up; false if it was time to
  // stop before. `uncertain`: they may have been sent before.
  bool Deliver(const std::string& run, std::span<const Step> steps,
               const SeriesKeys& series, bool uncertain);

  // Whether the receiver did not answer, or with 5xx, since this was asked
  // last.
  bool TakeOutage() { return std::exchange(outage_, false); }

 private:
  enum class Verdict { kTaken, kLater, kRefused, kRejected, kStopped };
  Verdict Post(const std::string& run, std::span<const Step> steps,
               const SeriesKeys& series, std::string& why);
  // At least as long as the receiver asks for.
  bool WaitToRetry(const std::string& why);
  void Count(Fate fate, std::span<const Step> steps, const SeriesKeys& series);
  void TellRefusal(const std::string& run, const std::string& why);

  const Options& options_;
  const SenderWorld world_;
  int failures_ = 0;  // in a row
  bool outage_ = false;
  absl::Duration retry_after_;  // that the newest answer asks for
  std::string told_;            // why it refused last
};

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_SENDER_H_
