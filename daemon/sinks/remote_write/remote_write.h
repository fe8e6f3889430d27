// Remote write: every step that is judged becomes a sample of each metric at a
// Prometheus remote write receiver.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_REMOTE_WRITE_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_REMOTE_WRITE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/base/clock.h"
#include "daemon/consistency/measures.h"
#include "daemon/sinks/remote_write/options.h"
#include "daemon/sinks/remote_write/stats.h"

namespace muster::sinks::remote_write {

// A queue, and one thread that empties it into requests. With a history nothing
// is lost that is in it: what does not fit into the queue, or waits when the
// daemon ends in whatever way, is read from there; how far each run is
// delivered lies in a small file beside it. Without one, what waits is lost
// with the daemon, and the oldest when the queue is full.
//
// A receiver that loses what it had acknowledged is sent it again, as far back
// as Options::resend says.
//
// Times of samples are those at which the daemon judged the steps, in whole
// milliseconds, each at least one later than the one before under the run's
// name. They follow from the history, so that a step that is sent again after a
// restart has the time that it had.
//
// Thread-safe. Owned by the server; outlives the runs that call Take().
class RemoteWrite {
 public:
  // Called on the thread; `failing` says how bad it is.
  using Tell = std::function<void(bool failing, const std::string& line)>;

  // Before anybody writes to the history; an empty `history_path`: there is
  // none. Errors name the file that cannot be read.
  static absl::StatusOr<std::unique_ptr<RemoteWrite>> Create(
      Options options, const std::string& history_path, Clock clock, Tell tell);
  // As Stop().
  ~RemoteWrite();

  // A step of the run, or its end where `measures` is null; never waits.
  // Position and number are those in the history, 0 without one.
  void Take(const std::string& run, int64_t history_run, uint64_t position,
            absl::Time judged, const consistency::Measures* measures);

  // Tries for `grace` to deliver what waits. Idempotent.
  void Stop(absl::Duration grace = absl::Seconds(2));

  Stats stats() const;

 private:
  class Impl;
  explicit RemoteWrite(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_REMOTE_WRITE_H_
