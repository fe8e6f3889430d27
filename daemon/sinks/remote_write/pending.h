// The steps of one run that wait to be sent.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_PENDING_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_PENDING_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "daemon/sinks/remote_write/backlog.h"
#include "daemon/sinks/remote_write/step.h"

namespace muster::sinks::remote_write {

// First what lies in the history, then what is in memory: a queue that is too
// long is let go of where the history has the same steps. Thread-compatible.
class Pending {
 public:
  // Adds what comes before all that is pushed.
  void AddBacklog(std::deque<Range> backlog);

  // Steps may come a little out of order, but one that comes after a later one
  // was taken is too late: false.
  bool Push(Step step);

  // Frees the memory. Steps that are in no history are lost, the oldest half of
  // them; returns their samples.
  int64_t Shrink();

  bool empty() const { return backlog_.empty() && queue_.empty(); }
  int64_t queue_bytes() const { return bytes_; }

  // What is to be read before anything is taken.
  std::optional<Range> backlog() const;
  // What is left of it, having been read.
  void SetBacklog(const Range& rest);
  // The oldest steps with at most `max_samples` samples, but at least one.
  // Requires: no backlog.
  std::vector<Step> Take(int64_t max_samples);

 private:
  // A step that lies in the history from here on.
  void LeaveToHistory(const Place& place);

  std::deque<Range> backlog_;
  std::deque<Step> queue_;
  int64_t bytes_ = 0;  // of the queue
  Place taken_;        // newest
};

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_PENDING_H_
