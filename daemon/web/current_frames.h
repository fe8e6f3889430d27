// The frames of a run, from the history and from memory, as one sequence.
#ifndef MUSTER_DAEMON_WEB_CURRENT_FRAMES_H_
#define MUSTER_DAEMON_WEB_CURRENT_FRAMES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/history/frame_numbers.h"
#include "daemon/runs/snapshot.h"
#include "daemon/web/source.h"

namespace muster::web {

struct CurrentFrames {
  // Ascending by step; of a step that was run again the newest attempt's.
  std::vector<history::FrameNumbers> frames;
  uint64_t count = 0;   // in the range
  uint64_t stride = 1;  // about every so many of the stored ones were read
  // Of all the run; 0 while it has no frames.
  uint64_t oldest_step = 0;
  uint64_t newest_step = 0;
};

// Steps from … to, both included. What is not in memory with the values of its
// ranks comes from the history, if there is one. Errors are the history's.
absl::StatusOr<CurrentFrames> ReadCurrentFrames(const Source& source,
                                                const runs::RunSnapshot& run,
                                                std::optional<uint64_t> from,
                                                std::optional<uint64_t> to);

// `kept`, which were all of the run when `newest` was its newest frame, and
// what it has judged since. Absent if memory does not have all of that any
// more, or only some of the frames had been read.
std::optional<CurrentFrames> WithNewer(const CurrentFrames& kept,
                                       const runs::RunSnapshot& run,
                                       const consistency::Measures* newest);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_CURRENT_FRAMES_H_
