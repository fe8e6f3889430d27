// What is to be told to one receiver, and when: a policy without thread and
// network, which a Courier carries out.
#ifndef MUSTER_DAEMON_SINKS_OUTBOX_H_
#define MUSTER_DAEMON_SINKS_OUTBOX_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/alert/alert.h"
#include "daemon/base/clock.h"
#include "daemon/sinks/http_client.h"

namespace muster::sinks {

// Both clocks, read together.
struct Moment {
  absl::Duration monotonic;
  absl::Time wall;

  static Moment Of(const Clock& clock) {
    return {clock.monotonic(), clock.wall()};
  }
};

// One post.
struct Delivery {
  std::string body;
  HttpHeaders headers;
};

// What became of it.
enum class Outcome {
  kTaken,    // 2xx
  kRefused,  // the receiver will not have this body: 400, 413, 415, 422
  kFailed,   // anything else: another time it may succeed
};

struct OutboxCounts {
  uint64_t held = 0;     // alerts or changes kept to be sent
  uint64_t untold = 0;   // of those, whose newest state was not delivered yet
  uint64_t dropped = 0;  // there was no place for them, or they were refused
};

// Take() and counts() by any thread, the others by the one that owns it.
// Neither waits for the network.
class Outbox {
 public:
  virtual ~Outbox() = default;

  // A change of an alert's state.
  virtual void Take(const std::string& run, const alert::Alert& alert,
                    Moment now) = 0;
  // An alert that a daemon before this one has told, or should have.
  virtual void Resume(const std::string& run, const alert::Alert& alert,
                      Moment now) = 0;
  // Writes down what is to outlive the daemon; called whenever there is news,
  // even if nothing may be sent.
  virtual void Keep() {}
  // Monotonic time at which there is something to send; InfiniteDuration if
  // nothing waits.
  virtual absl::Duration Due() const = 0;
  // What is to be sent now, if anything is. An error if it cannot be made.
  virtual absl::StatusOr<std::optional<Delivery>> Make(Moment now) = 0;
  // A post that tells nothing, to learn whether the receiver is back when
  // nothing is left to be told; none where the receiver knows of no such post.
  virtual std::optional<Delivery> Probe() const { return std::nullopt; }
  // What became of what Make() gave. True if what was in it is
  // given up, and never sent again.
  virtual bool Done(Outcome outcome, Moment now) = 0;
  virtual OutboxCounts counts() const = 0;
};

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_OUTBOX_H_
