// Carries an outbox's deliveries to one receiver, in a thread of its own, so
// that a slow or dead receiver delays nobody else.
#ifndef MUSTER_DAEMON_SINKS_COURIER_H_
#define MUSTER_DAEMON_SINKS_COURIER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/base/clock.h"
#include "daemon/base/mutex.h"
#include "daemon/sinks/outbox.h"

namespace muster::sinks {

// How long to wait after the n-th failure in a row, n ≥ 1: 1 s, 2 s, 4 s, … at
// most 1 min, of which a random part of up to one half is taken off, so that
// many daemons do not come back together. `random`: 0 … 1.
absl::Duration Backoff(int failures, double random);

struct CourierStats {
  std::string sink;      // "alertmanager", …
  std::string receiver;  // its name
  // False while what is to be told cannot be delivered: the newest post was not
  // answered with 2xx, and it is still to be told, or a probe of the receiver
  // has not succeeded since.
  bool up = true;
  uint64_t held = 0;     // alerts or changes kept to be sent
  uint64_t sent = 0;     // posts answered with 2xx
  uint64_t failed = 0;   // posts that were not
  uint64_t dropped = 0;  // alerts or changes that were given up
};

// What the courier needs of the world; tests have their own.
struct CourierWorld {
  std::function<absl::StatusOr<HttpResponse>(std::string_view body,
                                             const HttpHeaders& headers)>
      post;
  // Ends the post that waits, and all after it.
  std::function<void()> cancel;
  Clock clock;
  std::function<double()> random;  // uniform, 0 … 1
  // A line for people; told once when deliveries begin to fail, once when they
  // succeed again, for each change that is given up, and at the end if
  // something is left.
  std::function<void(bool failing, const std::string& line)> tell;
};

// Thread-safe. Owned by Sinks.
class Courier {
 public:
  Courier(std::string sink, std::string receiver,
          std::unique_ptr<Outbox> outbox, CourierWorld world);
  // As Stop() without grace.
  ~Courier();

  // Hands on to the outbox; waits for nobody.
  void Take(const std::string& run, const alert::Alert& alert);
  void Resume(const std::string& run, const alert::Alert& alert);

  // One delivery, if one is due. Returns how long until the next may be; zero
  // if at once. Not beside a started thread.
  absl::Duration Turn();

  // Delivers until Stop(), in a thread of its own.
  void Start();
  // Nothing is waited for any more: what is due is tried once, then it ends.
  void RequestStop();
  // Ends, at the latest after `grace` from now. Requires: RequestStop().
  void Stop(absl::Duration grace);

  CourierStats stats() const;

 private:
  void Run();
  // Nothing is left to be told, but the receiver is down.
  bool IsIdleAndDown() const;
  void Post(const Delivery& delivery, bool is_probe);
  // Count, and tell what is news.
  void Succeeded();
  void Failed(const std::string& why);
  void GaveUp(const std::string& why);

  const std::string sink_;
  const std::string receiver_;
  const std::unique_ptr<Outbox> outbox_;
  const CourierWorld world_;
  std::thread thread_;
  int failures_ = 0;           // in a row; of the thread
  absl::Duration not_before_;  // monotonic; of the thread

  mutable Mutex mutex_;
  CondVar changed_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;  // no post comes of it now
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool up_ ABSL_GUARDED_BY(mutex_) = true;
  uint64_t sent_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_COURIER_H_
