// What remote write tells /metrics.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_STATS_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_STATS_H_

#include <cstddef>
#include <cstdint>

namespace muster::sinks::remote_write {

// Totals count from the daemon's start.
struct Stats {
  bool up = true;              // the receiver answers, or was not asked yet
  uint64_t sent = 0;           // samples that it took
  uint64_t present = 0;        // that it refused, as it has them already
  uint64_t refused = 0;        // that it refused otherwise: they are lost
  uint64_t dropped = 0;        // that were never sent: the queue was full
  uint64_t retries = 0;        // requests that were sent again
  int64_t queue_bytes = 0;     // memory of what waits
  size_t runs = 0;             // of which series and times are kept
  int64_t newest_time_ms = 0;  // of the newest sample that was delivered
};

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_STATS_H_
