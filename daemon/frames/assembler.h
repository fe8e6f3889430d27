// Lines up the reports of one run, step by step. Knows late, duplicate,
// missing, restarted, rewound and resized.
#ifndef MUSTER_DAEMON_FRAMES_ASSEMBLER_H_
#define MUSTER_DAEMON_FRAMES_ASSEMBLER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/frames/frame.h"
#include "daemon/frames/report.h"

namespace muster::frames {

struct AssemblerOptions {
  // How long a frame waits for ranks after its first arrival. Longer: fewer
  // partial frames on a stuttering network; shorter: judged sooner.
  absl::Duration frame_timeout = absl::Seconds(30);
  // A frame is closed when this many newer ones are open: bounds memory and
  // delay.
  int max_newer_frames = 16;
  // Such a frame is not closed earlier than this after its first arrival, as
  // long as open frames take no more than `max_open_bytes`: after an outage
  // ranks come back one by one, each with all that it has kept.
  absl::Duration overflow_after = absl::Seconds(10);
  // Eight times as much closes the oldest frame at once.
  size_t max_open_bytes = size_t{64} << 20;
  // How long after being superseded a source may still send before that is an
  // event: reports in flight are no conflict.
  absl::Duration contested_after = absl::Seconds(5);
};

// What became of a report.
enum class Admission {
  kKept,
  kDuplicate,   // sequence already settled
  kLate,        // its frame is closed or its attempt superseded; counted
  kSuperseded,  // a newer incarnation of the rank has taken over; refuse
  kUnknown,     // never registered; refuse
};

struct AssemblerState;  // assembler_state.h

enum class Registration {
  kNew,          // first Hello of this incarnation
  kReconnected,  // known incarnation, came back
  kSuperseded,   // refused: a newer incarnation has taken over
};

// Rules (docs/architecture.md, "Frames and attempts"):
//  - A frame closes when each rank of the attempt has reported it or a later
//    step or has departed; or `frame_timeout` after its first arrival; or when
//    `max_newer_frames` newer ones are open (see the options). Closing a frame
//    first closes all older open ones, so frames leave in step order.
//  - A new incarnation supersedes the rank's old one; the old one's reports in
//    open frames are void.
//  - The attempt rises when an incarnation whose rank had another incarnation
//    in this attempt first reports a closed step, when a source's own step
//    goes back, or when a new incarnation states another world size. Sources
//    that follow it back or restart too join the attempt that it opened; those
//    that go on in the old one are late. One that still goes on `frame_timeout`
//    after the attempt began, and after its own last Hello, will not go back
//    (it had never got further, or only the other one was wrong) and joins.
//    Frames still open when an attempt begins are closed as kSuperseded.
//  - A rank that departed is waited for again when it says Hello, and when
//    another rank comes back as a new incarnation or with another world size:
//    the job has been started again.
//  - All ranks departed: the run ends, until the next Hello.
// Thread-compatible. Time is an argument; calls must not go back in time.
class FrameAssembler {
 public:
  explicit FrameAssembler(AssemblerOptions options);
  ~FrameAssembler();

  // `info` is valid in itself (rank < world size, sketch width allowed).
  Registration Register(const SourceInfo& info,
                        std::shared_ptr<const FactSet> facts, Instant now);
  // Facts that hold from the source's next report on.
  void SetFacts(uint32_t rank, uint64_t incarnation,
                std::shared_ptr<const FactSet> facts);
  // `report.facts` is filled in here.
  Admission Add(uint64_t incarnation, Report report, Instant now);
  // The stream of a source broke; its frames go on waiting for it.
  void Disconnect(uint32_t rank, uint64_t incarnation, Instant now);
  // Goodbye: the rank is no longer waited for.
  void Depart(uint32_t rank, uint64_t incarnation, Instant now);
  // Another process than the rank's own claims it, and was turned away.
  void Contest(uint32_t rank, uint64_t incarnation, Instant now);
  // Closes what is due and emits a Tick.
  void Advance(Instant now);

  // Whether the incarnation is the rank's current one.
  bool IsCurrent(uint32_t rank, uint64_t incarnation) const;
  // Highest sequence settled for the incarnation, 0 if none or unknown.
  uint64_t LastSequence(uint32_t rank, uint64_t incarnation) const;

  bool has_open_frames() const;
  // All it knows but the reports of open frames.
  AssemblerState Save() const;
  // Calls `visit` for each report of an open frame, ascending by step and rank;
  // the report is valid during the call.
  void VisitOpen(const std::function<void(uint64_t incarnation, const Report&)>&
                     visit) const;
  // Goes on from `state` with these reports of open frames (those of frames
  // that are not open in `state` are left out), all sources disconnected as of
  // `now`: says so for those that were connected. Requires: nothing has
  // happened yet.
  void Restore(const AssemblerState& state, std::vector<Report> open_reports,
               Instant now);

  // Events since the last call, in order.
  std::vector<Event> TakeEvents();

  // State of each rank's current source, ascending by rank, for display.
  struct SourceState {
    SourceInfo info;
    std::shared_ptr<const FactSet> facts;
    uint32_t attempt = 0;  // 0 before its first report
    bool connected = false;
    bool departed = false;
    bool has_reported = false;
    uint64_t last_step = 0;
    uint64_t last_sequence = 0;
    uint64_t dropped = 0;  // gaps in sequence
    Instant last_arrival;
  };
  std::vector<SourceState> Sources() const;

  struct AttemptState {
    uint32_t attempt = 0;
    uint32_t world_size = 0;
    uint64_t first_step = 0;
    uint64_t last_step = 0;
    uint64_t frames = 0;
    bool superseded = false;
    AttemptCause cause = AttemptCause::kStart;
  };
  // All attempts, oldest first (the newest 256 are kept).
  const std::vector<AttemptState>& attempts() const;
  uint64_t late_count() const;
  // Gaps in sequence of all incarnations: reports that never came here.
  uint64_t dropped_count() const;
  uint64_t duplicate_count() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster::frames

#endif  // MUSTER_DAEMON_FRAMES_ASSEMBLER_H_
