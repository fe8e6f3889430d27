// Where the HTTP API and the query service read from: functions rather than the
// registry, so that tests answer from snapshots built by hand.
#ifndef MUSTER_DAEMON_WEB_SOURCE_H_
#define MUSTER_DAEMON_WEB_SOURCE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/history/frame_reader.h"
#include "daemon/history/record.h"
#include "daemon/page/page.h"
#include "daemon/runs/snapshot.h"

namespace muster::web {

class FrameCache;

using RunFilter = std::function<bool(std::string_view run)>;

// All functions are thread-safe, and set unless they say otherwise. Of a relay
// only `metrics`, `ready` and `relay` are.
struct Source {
  // Newest snapshot of each run, ordered by run id; never null elements.
  std::function<std::vector<std::shared_ptr<const runs::RunSnapshot>>()>
      snapshots;
  // Null if there is no such run.
  std::function<std::shared_ptr<const runs::RunSnapshot>(std::string_view run)>
      snapshot;
  // Frames of a run that are in the history; not set where there is none. Reads
  // a file: tens of milliseconds. UNAVAILABLE if too many ask at once.
  std::function<absl::StatusOr<history::FrameRange>(
      const history::FrameQuery& query)>
      stored_frames;
  // Calls `take` for each stored frame of a run from a position on, in order,
  // until it fails; gives its error. Not set, and otherwise as above.
  std::function<absl::Status(
      int64_t run, uint64_t position,
      const std::function<absl::Status(const history::Entry&)>& take)>
      stored_entries;
  // Body of /metrics in Prometheus' text format, of the runs that are shown.
  std::function<std::string(const RunFilter& shown)> metrics;
  // Which runs the reader may see: `snapshots` and `snapshot` are of these.
  RunFilter is_shown = [](std::string_view) { return true; };
  // Whether the daemon takes reports: false before it listens and while it
  // drains.
  std::function<bool()> ready;
  // Not set unless this is a relay: what there is to say of its upstream, in a
  // line.
  std::function<std::string()> relay;
  // Keeps what the charts have read; null: each reads for itself.
  std::shared_ptr<FrameCache> frame_cache = nullptr;
  // What `/` shows; null if it was not built in.
  const page::Page* page = nullptr;
  // Version of the daemon.
  std::string version;
};

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_SOURCE_H_
