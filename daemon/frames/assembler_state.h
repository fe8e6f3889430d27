// What a FrameAssembler knows, as plain values: for storing it and going on
// after a restart of the daemon.
#ifndef MUSTER_DAEMON_FRAMES_ASSEMBLER_STATE_H_
#define MUSTER_DAEMON_FRAMES_ASSEMBLER_STATE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/frames/assembler.h"
#include "daemon/frames/frame_window.h"
#include "daemon/frames/rank_state.h"

namespace muster::frames {

// Reports of open frames aside, it is complete. FrameAssembler::Save() and
// Restore().
struct AssemblerState {
  // Changes whenever more of a rank changes than the numbers of its progress
  // (attempt, last step, sequence and arrival, dropped, has_*).
  uint64_t sources_version = 0;
  std::vector<RankState> ranks;  // ascending
  uint32_t attempt = 0;
  Instant attempt_began;
  bool ended = false;
  uint64_t generation = 0;
  std::vector<FrameAssembler::AttemptState> attempts;
  uint64_t late = 0;
  uint64_t dropped = 0;
  uint64_t duplicates = 0;
  std::optional<uint64_t> last_closed;
  std::vector<FrameWindow::OpenFrame> open_frames;  // ascending by step
};

}  // namespace muster::frames

#endif  // MUSTER_DAEMON_FRAMES_ASSEMBLER_STATE_H_
