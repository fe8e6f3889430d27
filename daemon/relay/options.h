// What can be set of a relay.
#ifndef MUSTER_DAEMON_RELAY_OPTIONS_H_
#define MUSTER_DAEMON_RELAY_OPTIONS_H_

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "daemon/identity/channel_files.h"

namespace muster::relay {

struct SpoolOptions {
  // Folder; empty: there is no spool.
  std::string folder;
  // Bytes of reports kept. More: longer outages cost nothing; less: less disk.
  size_t max_bytes = size_t{512} << 20;
  // Older reports are dropped.
  absl::Duration max_age = absl::Hours(24);
};

struct Options {
  // HOST:PORT, tls://HOST:PORT or unix:PATH; empty: this is no relay.
  std::string upstream;
  // What upstream is shown, and whom it has to be.
  identity::ChannelFiles files;
  SpoolOptions spool;
  // What upstream has not acknowledged for so long goes to the spool. Longer:
  // less is written; shorter: a relay that is killed has kept more.
  absl::Duration spool_after = absl::Seconds(2);
  // Bytes of reports in memory, of all runs together.
  size_t memory_bytes = size_t{64} << 20;
  // How long a report waits for others. Longer: fewer messages; shorter: less
  // delay.
  absl::Duration batch_delay = absl::Milliseconds(5);
  // Reports a second of each rank that leave the spool. More: an outage is
  // sooner caught up on; less: it takes less from those that are live. The same
  // on all nodes, so that their ranks' steps meet.
  int drain_rate = 500;
  // How long a relay that is to stop goes on sending.
  absl::Duration grace = absl::Seconds(5);
  // Runs carried at once, and sources of each: no more than upstream takes on a
  // stream.
  int max_runs = 256;
  int max_sources = 4096;
};

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_OPTIONS_H_
