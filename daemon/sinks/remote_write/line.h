// What remote write keeps in memory of the runs of one name.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_LINE_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_LINE_H_

#include <deque>
#include <utility>

#include "absl/time/time.h"
#include "daemon/sinks/remote_write/marks.h"
#include "daemon/sinks/remote_write/request.h"
#include "daemon/sinks/remote_write/step.h"

namespace muster::sinks::remote_write {

// Thread-compatible; of the thread that sends.
struct Line {
  Mark mark;
  SeriesKeys series;  // that have not ended
  // What a daemon before this one may have sent without a mark of it.
  Place uncertain_until;
  // What is sent again after an outage, and when it was delivered; and the
  // newest before that, where a daemon after this one begins.
  std::deque<std::pair<absl::Duration, Step>> recent;
  Mark settled;
  absl::Duration delivered;   // monotonic, the newest
  bool is_far_ahead = false;  // of the clock, and that was told
};

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_LINE_H_
