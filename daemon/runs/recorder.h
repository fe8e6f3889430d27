// What a run tells its history, and which acknowledgements wait for that.
#ifndef MUSTER_DAEMON_RUNS_RECORDER_H_
#define MUSTER_DAEMON_RUNS_RECORDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/alert/alert.h"
#include "daemon/base/mutex.h"
#include "daemon/frames/assembler.h"
#include "daemon/history/writer.h"
#include "daemon/runs/link.h"

namespace muster::runs {

// A frame that was judged, or the end of the run, where `measures` is null.
struct JudgedStep {
  // Its place in the history, 0 without one.
  int64_t history_run = 0;
  uint64_t position = 0;
  absl::Time wall;
  std::shared_ptr<const consistency::Measures> measures;
};

// Called for each when the history has it, which a restart then cannot judge
// anew; at once where there is none. On a worker or the history's thread, which
// must not wait; nearly always in order.
using StepObserver =
    std::function<void(const std::string& run, const JudgedStep& step)>;

// Gathers what is judged, and hands it to the writer in units that end with a
// checkpoint: each unit is a place where a restarted daemon can go on. Without
// a writer it acknowledges at the end of the run's turn and keeps nothing.
// Thread-compatible; owned by the run.
class Recorder {
 public:
  // A unit ends when no frame is open, so that no report is written twice, but
  // no later than this.
  static constexpr absl::Duration kLongestUnit = absl::Milliseconds(250);
  // Ticks alone are not worth more than a commit in so long.
  static constexpr absl::Duration kLongestSilence = absl::Seconds(5);

  // `writer` may be null, and outlives the recorder; `observer` may be empty,
  // and is called while the writer lives.
  Recorder(history::Writer* writer, std::string name, std::string configuration,
           StepObserver observer);

  // The run is number `run` of the history, where `checkpoint` is its newest.
  void Continue(int64_t run, const history::Checkpoint& checkpoint);

  bool enabled() const { return writer_ != nullptr; }
  // 0 before the first unit.
  int64_t run() const { return run_; }
  uint64_t next_position() const { return next_position_; }

  // What the judge took, and the changes that came of it: changes[first …].
  void Add(history::Body body, absl::Time wall,
           const std::vector<alert::Alert>& changes, size_t first);

  // Tells the source that its reports up to `sequence` are settled, when they
  // are.
  void Acknowledge(uint32_t rank, uint64_t incarnation, uint64_t sequence,
                   const std::shared_ptr<SourceLink>& link);
  // Tells what is settled without being written: one acknowledgement for all
  // that a source said in the run's turn.
  void EndTurn();
  // Highest sequence of which the source could be told; `received` without a
  // history.
  uint64_t Settled(uint32_t rank, uint64_t incarnation,
                   uint64_t received) const;

  // Whether the unit should end now.
  bool IsDue(frames::Instant now, bool has_open_frames) const;
  // Whether there is anything to write.
  bool empty() const { return unit_.entries.empty() && waiting_.empty(); }
  // Ends the unit, which happens now. `assembler` and `alerts` are the run's.
  void Submit(const frames::FrameAssembler& assembler,
              const alert::AlertBook& alerts,
              const std::optional<frames::SketchSpec>& sketch,
              frames::Instant now, absl::Time wall);

 private:
  struct Waiting {
    uint64_t incarnation = 0;
    uint64_t sequence = 0;
    std::shared_ptr<SourceLink> link;
  };
  using WaitingByRank = std::map<uint32_t, Waiting>;
  // Outlives the recorder in the writer's queue.
  class SettledSequences {
   public:
    void Settle(const WaitingByRank& waiting);
    void Set(uint32_t rank, uint64_t incarnation, uint64_t sequence);
    uint64_t Get(uint32_t rank, uint64_t incarnation) const;

   private:
    struct Last {
      uint64_t incarnation = 0;
      uint64_t sequence = 0;
    };
    mutable Mutex mutex_;
    std::map<uint32_t, Last> last_ ABSL_GUARDED_BY(mutex_);
  };

  history::Writer* const writer_;
  const std::string name_;
  const std::string configuration_;
  const StepObserver observer_;
  const std::shared_ptr<SettledSequences> settled_;
  int64_t run_ = 0;
  uint64_t next_position_ = 1;
  history::Unit unit_;
  std::vector<JudgedStep> steps_;  // of the unit
  bool only_ticks_ = true;
  WaitingByRank waiting_;
  frames::Instant submitted_;
  // Copies of open reports by rank and sequence, made once.
  std::map<std::pair<uint32_t, uint64_t>,
           std::shared_ptr<const history::OpenReport>>
      open_reports_;
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_RECORDER_H_
