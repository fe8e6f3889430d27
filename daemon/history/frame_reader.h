// Reads the numbers of stored frames, for what is drawn: their packed columns
// and nothing else.
#ifndef MUSTER_DAEMON_HISTORY_FRAME_READER_H_
#define MUSTER_DAEMON_HISTORY_FRAME_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/history/frame_numbers.h"

namespace muster::history {

struct FrameQuery {
  int64_t run = 0;
  // Steps, both included.
  std::optional<uint64_t> from;
  std::optional<uint64_t> to;
  // Only frames before this attempt and step, if given.
  std::optional<std::pair<uint32_t, uint64_t>> before;
  // At most about so many rows are read, and so many values of ranks: of more
  // frames, some at even distances in steps. They bound the time of a reader.
  uint64_t max_frames = 16'384;
  uint64_t max_rank_values = 4'000'000;
};

// Frames of the run's current history: where steps repeat, those of the newest
// attempt, and nothing that an older attempt had beyond its beginning.
struct FrameRange {
  std::vector<FrameNumbers> frames;  // ascending by step
  uint64_t count = 0;                // in the range, read or not
  uint64_t stride = 1;  // about every so many of them have been read
  // First step of the run, whatever the range; absent if nothing is stored.
  std::optional<uint64_t> oldest_step;
};

// A connection of its own; a file that is being written can be read. Errors as
// of Reader. Thread-compatible.
class FrameReader {
 public:
  static absl::StatusOr<std::unique_ptr<FrameReader>> Open(
      const std::string& path);
  ~FrameReader();

  // Gradient norms are those that were reported, also where a rank had
  // observed another number of elements than the others.
  absl::StatusOr<FrameRange> Current(const FrameQuery& query) const;

 private:
  class Impl;
  explicit FrameReader(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_FRAME_READER_H_
