// Reads a history: its runs, their streams, and where the open ones stand.
#ifndef MUSTER_DAEMON_HISTORY_READER_H_
#define MUSTER_DAEMON_HISTORY_READER_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/history/record.h"

namespace muster::history {

// The range of positions that a resumed judge is fed from.
struct Window {
  uint64_t first_event = 1;
  uint64_t first_frame = 1;
};

// Which entries are read.
enum class What {
  kEvents,        // all but frames and ticks
  kAll,           // frames without sketches
  kWithSketches,  // where they are kept
  kFrames,        // frames only, without sketches
};

// A file that is being written can be read. Errors name the file: NOT_FOUND,
// FAILED_PRECONDITION if its version is another one, DATA_LOSS if it is corrupt
// or no history. Thread-compatible.
class Reader {
 public:
  static constexpr uint64_t kEnd = std::numeric_limits<int64_t>::max();

  // Opens without writing a byte.
  static absl::StatusOr<std::unique_ptr<Reader>> Open(const std::string& path);
  ~Reader();

  // All runs, in the order in which they began.
  absl::StatusOr<std::vector<StoredRun>> Runs() const;

  // Calls `take` for each entry with from ≤ position < to, in order, until it
  // fails.
  absl::Status ReadEntries(
      int64_t run, uint64_t from, uint64_t to, What what,
      const std::function<absl::Status(const Entry&)>& take) const;
  // The changes of alerts as they were logged, in order.
  absl::StatusOr<std::vector<AlertChange>> Alerts(int64_t run) const;

  // The newest checkpoint; null if it has none.
  absl::StatusOr<std::shared_ptr<const Checkpoint>> LastCheckpoint(
      int64_t run) const;
  // Where the newest `max_frames` frames of at most `max_bytes` in the file
  // begin, and the newest `max_events` events before them.
  absl::StatusOr<Window> NewestWindow(int64_t run, int64_t max_frames,
                                      int64_t max_bytes,
                                      int64_t max_events) const;

 private:
  class Impl;
  explicit Reader(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_READER_H_
