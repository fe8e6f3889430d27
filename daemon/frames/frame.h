// A frame: the reports of one (attempt, step), and the events by which the
// frames room tells the rooms after it what happened, in one order.
#ifndef MUSTER_DAEMON_FRAMES_FRAME_H_
#define MUSTER_DAEMON_FRAMES_FRAME_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "daemon/frames/report.h"

namespace muster::frames {

enum class CloseReason {
  kAllReported,  // each rank reported it or a later step, or has departed
  kTimeout,      // too long after its first arrival
  kOverflow,     // too many newer frames are open
  kSuperseded,   // a new attempt began
  kRunEnded,     // all ranks departed
};

struct Frame {
  uint32_t attempt = 0;  // from 1
  uint64_t step = 0;
  uint32_t world_size = 0;      // N
  std::vector<Report> reports;  // M ≤ N, ascending by rank
  CloseReason reason = CloseReason::kAllReported;
  Instant first_arrival;
  Instant last_arrival;
  Instant closed_at;

  bool complete() const { return reports.size() == world_size; }
};

// A source said Hello (or said it again after a reconnect).
struct SourceUp {
  SourceInfo info;
  std::shared_ptr<const FactSet> facts;
  Instant at;
};

enum class DownReason { kDisconnected, kDeparted, kSuperseded };

struct SourceDown {
  uint32_t rank = 0;
  uint64_t incarnation = 0;
  DownReason reason = DownReason::kDisconnected;
  Instant at;
};

// A superseded incarnation still sends long after it was told to stop, or one
// whose sender may not report for the rank was turned away.
struct RankContested {
  uint32_t rank = 0;
  uint64_t incarnation = 0;  // the one that counts
  uint64_t superseded_incarnation = 0;
  Instant at;
};

// A source's sketch specification differs from the run's; it was refused.
struct SketchRefused {
  uint32_t rank = 0;
  SketchSpec expected;
  SketchSpec stated;
  Instant at;
};

enum class AttemptCause { kStart, kRestart, kRewind, kResize };

struct AttemptBegan {
  uint32_t attempt = 0;
  uint32_t world_size = 0;
  AttemptCause cause = AttemptCause::kStart;
  bool world_size_changed = false;  // baselines start again
  Instant at;
};

struct FrameClosed {
  std::shared_ptr<const Frame> frame;
};

// All ranks of the current attempt have said Goodbye.
struct RunEnded {
  Instant at;
};

// Time passed.
struct Tick {
  Instant now;
};

using Event = std::variant<SourceUp, SourceDown, RankContested, SketchRefused,
                           AttemptBegan, FrameClosed, RunEnded, Tick>;

}  // namespace muster::frames

#endif  // MUSTER_DAEMON_FRAMES_FRAME_H_
