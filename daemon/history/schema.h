// The tables of a history, and its versions: internal to this room.
// docs/history.md describes them.
#ifndef MUSTER_DAEMON_HISTORY_SCHEMA_H_
#define MUSTER_DAEMON_HISTORY_SCHEMA_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/history/sqlite.h"

namespace muster::history {

// PRAGMA user_version of what this program writes.
inline constexpr int kSchemaVersion = 2;
// PRAGMA application_id of a history: "Mstr".
inline constexpr int kApplicationId = 0x4D737472;

// Opens for writing, creates if need be, and brings an older version up to
// date. FAILED_PRECONDITION if the version is newer than this program's,
// DATA_LOSS if the file is corrupt or no history.
absl::StatusOr<std::unique_ptr<Database>> OpenForWriting(
    const std::string& path);

// Opens for reading. Older versions too are FAILED_PRECONDITION: a daemon that
// opens the file brings it up to date.
absl::StatusOr<std::unique_ptr<Database>> OpenForReading(
    const std::string& path);

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_SCHEMA_H_
