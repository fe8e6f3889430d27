// Where the HTTP API and the query service read from: functions rather than the
// registry, so that tests answer from snapshots built by hand.
#ifndef MUSTER_DAEMON_WEB_SOURCE_H_
#define MUSTER_DAEMON_WEB_SOURCE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/runs/snapshot.h"

namespace muster::web {

// All functions are set and thread-safe.
struct Source {
  // Newest snapshot of each run, ordered by run id; never null elements.
  std::function<std::vector<std::shared_ptr<const runs::RunSnapshot>>()>
      snapshots;
  // Null if there is no such run.
  std::function<std::shared_ptr<const runs::RunSnapshot>(std::string_view run)>
      snapshot;
  // Body of /metrics in Prometheus' text format.
  std::function<std::string()> metrics;
  // Whether the daemon takes reports: false before it listens and while it
  // drains.
  std::function<bool()> ready;
  // Version of the daemon.
  std::string version;
};

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_SOURCE_H_
