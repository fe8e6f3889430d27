// How far each run has been delivered, kept over restarts.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_MARKS_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_MARKS_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/sinks/remote_write/step.h"

namespace muster::sinks::remote_write {

// The newest step that was delivered or given up, and the time of its samples:
// the times of those after it follow from that and from the history.
struct Mark {
  Place place;
  int64_t time_ms = 0;

  friend bool operator==(const Mark&, const Mark&) = default;
};

struct Marks {
  // Runs that began earlier and have no mark are not sent.
  int64_t since_ms = 0;
  std::map<std::string, Mark> runs;  // by name

  friend bool operator==(const Marks&, const Marks&) = default;
};

// NOT_FOUND if there is no such file, DATA_LOSS if it is damaged; errors name
// the file.
absl::StatusOr<Marks> ReadMarks(const std::string& path);
// Replaces the file in one piece; it is on the disk afterwards.
absl::Status WriteMarks(const std::string& path, const Marks& marks);

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_MARKS_H_
