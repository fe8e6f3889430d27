// The open frames of one attempt, and how many ranks each still waits for:
// internal to this room, but for storing them.
#ifndef MUSTER_DAEMON_FRAMES_FRAME_WINDOW_H_
#define MUSTER_DAEMON_FRAMES_FRAME_WINDOW_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "daemon/frames/frame.h"

namespace muster::frames {

// How far a rank has got: all steps below this number. Steps are at most 2⁶²,
// so one more always fits.
using Reach = uint64_t;
inline constexpr Reach kReachedNothing = 0;
inline constexpr Reach kReachedAll = std::numeric_limits<Reach>::max();

// Costs O(open frames) for each rank's move and O(log N) for each report.
// The caller keeps one invariant, on which the counts rest: a rank whose last
// step is above last_closed() has its report of that step in here, or has
// reached everything. Thread-compatible; owned by the assembler.
class FrameWindow {
 public:
  // Starts over without frames. `reached_all` of the `world_size` ranks have
  // reached everything, the others nothing.
  void Begin(uint32_t attempt, uint32_t world_size, uint32_t reached_all);

  // One of the ranks 0 … world_size − 1 moved, forward or back.
  void Move(Reach from, Reach to);
  // Keeps a report, opening its frame if need be. Requires: IsOpen(step), and
  // the frame has no report of that rank.
  void Add(Report&& report, Instant now);
  // Takes the rank's reports out; frames left without any are dropped.
  void Void(uint32_t rank);

  // For storing and restoring: an open frame, its reports aside.
  struct OpenFrame {
    uint64_t step = 0;
    Instant first_arrival;
    Instant last_arrival;
  };
  std::vector<OpenFrame> OpenFrames() const;
  void VisitReports(const std::function<void(const Report&)>& visit) const;
  std::optional<uint64_t> last_closed() const { return last_closed_; }
  // After Begin(): frames up to `last_closed` are closed, and `frame` is open,
  // which `reached` ranks have reached or passed; its reports are added next.
  void RestoreClosed(std::optional<uint64_t> last_closed) {
    last_closed_ = last_closed;
  }
  void RestoreFrame(const OpenFrame& frame, uint32_t reached);
  // Adds a report to a restored frame without touching its times.
  void RestoreReport(Report report);

  // Closes the oldest frame. Requires: not empty.
  std::shared_ptr<const Frame> CloseOldest(CloseReason reason, Instant now);

  bool empty() const { return frames_.empty(); }
  size_t size() const { return frames_.size(); }
  // True unless the step, or a later one, has been closed.
  bool IsOpen(uint64_t step) const {
    return !last_closed_ || step > *last_closed_;
  }
  // True if no rank is waited for in the oldest frame. Requires: not empty.
  bool OldestIsDue() const {
    return frames_.begin()->second.reached >= world_size_;
  }
  // The newest step whose frame opened at `cutoff` or before, if any.
  std::optional<uint64_t> NewestOpenedBy(Instant cutoff) const;
  // Require: not empty.
  uint64_t oldest_step() const { return frames_.begin()->first; }
  Instant oldest_arrival() const {
    return frames_.begin()->second.first_arrival;
  }
  // Memory of the reports kept.
  size_t bytes() const { return bytes_; }

  uint32_t world_size() const { return world_size_; }
  // Ranks that have reached everything.
  uint32_t reached_all() const { return reached_all_; }

 private:
  struct Open {
    std::map<uint32_t, Report> reports;  // by rank
    uint32_t reached = 0;                // ranks with a Reach above its step
    Instant first_arrival;
    Instant last_arrival;
  };

  uint32_t attempt_ = 0;
  uint32_t world_size_ = 0;
  uint32_t reached_all_ = 0;
  size_t bytes_ = 0;
  std::optional<uint64_t> last_closed_;
  std::map<uint64_t, Open> frames_;  // by step
};

}  // namespace muster::frames

#endif  // MUSTER_DAEMON_FRAMES_FRAME_WINDOW_H_
