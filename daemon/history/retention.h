// Deletes what is too old or too much, a little at a time: internal to this
// room.
#ifndef MUSTER_DAEMON_HISTORY_RETENTION_H_
#define MUSTER_DAEMON_HISTORY_RETENTION_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/history/options.h"
#include "daemon/history/sqlite.h"

namespace muster::history {

struct Trimmed {
  int64_t frames = 0;  // deleted
  bool more = false;   // there is more to delete
};

// One step, in a transaction of its own: sketches beyond their budget, then
// frames that are too old or, while the file is too large, the oldest ones;
// then runs of which no frame is left and that are not open.
absl::StatusOr<Trimmed> Trim(Database& database, const Options& options,
                             absl::Time now);

// Bytes of the file that hold something.
absl::StatusOr<int64_t> UsedBytes(Database& database);

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_RETENTION_H_
