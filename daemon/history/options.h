// What the history keeps, and for how long.
#ifndef MUSTER_DAEMON_HISTORY_OPTIONS_H_
#define MUSTER_DAEMON_HISTORY_OPTIONS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace muster::history {

struct Options {
  // Whether a daemon with a data folder keeps a history there.
  bool enabled = true;
  // Size of the file above which the oldest runs and frames are deleted.
  int64_t max_bytes = int64_t{4} << 30;
  // Older frames are deleted, and older runs with all they have.
  absl::Duration max_age = absl::Hours(24 * 30);
  // Sketches kept of the newest frames; those around alerts have as much again.
  // Sketches are most of what a frame weighs, and a restart needs a few
  // hundred frames of them to go on measuring where it was.
  int64_t sketch_bytes = int64_t{256} << 20;
  // How long what is judged waits to be written with what follows. Longer: less
  // work for the disk; shorter: sooner acknowledged.
  absl::Duration commit_interval = absl::Milliseconds(50);
  // Memory for what waits to be written; beyond it, it is not kept.
  int64_t queue_bytes = int64_t{64} << 20;
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_OPTIONS_H_
