// One training run: takes what its sources say, in turn, through frames,
// consistency, detect and alert, and publishes a snapshot.
#ifndef MUSTER_DAEMON_RUNS_RUN_H_
#define MUSTER_DAEMON_RUNS_RUN_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "daemon/alert/alert.h"
#include "daemon/base/clock.h"
#include "daemon/base/mutex.h"
#include "daemon/detect/detector.h"
#include "daemon/frames/assembler.h"
#include "daemon/history/reader.h"
#include "daemon/history/writer.h"
#include "daemon/runs/executor.h"
#include "daemon/runs/judge.h"
#include "daemon/runs/link.h"
#include "daemon/runs/recorder.h"
#include "daemon/runs/shown_ranks.h"
#include "daemon/runs/snapshot.h"

namespace muster::runs {

struct RunOptions {
  frames::AssemblerOptions assembler;
  detect::DetectOptions detect;
  alert::AlertOptions alert;
  FrameStore::Options store;
  // What `detect` and `alert` were made of, in YAML: kept in the history, so
  // that the run can be judged again in the same way. Nothing secret.
  std::string configuration;
  // Bytes of messages queued for one run; above it the run's streams are not
  // read until the queue drains.
  size_t queue_bytes = size_t{64} << 20;
};

// Called on a worker thread for each change of an alert's state.
using AlertObserver =
    std::function<void(const std::string& run, const alert::Alert& alert)>;

// What sources tell a run. Contents are checked by ingest.
struct SourceOpened {
  frames::SourceInfo info;
  std::shared_ptr<const frames::FactSet> facts;
  std::shared_ptr<SourceLink> link;
};
struct SourceReported {
  uint32_t rank = 0;
  uint64_t incarnation = 0;
  std::vector<frames::Report> reports;
  // Acknowledged when all are taken; those that ingest refused count too.
  uint64_t settled_sequence = 0;
  std::shared_ptr<SourceLink> link;
};
struct FactsStated {
  uint32_t rank = 0;
  uint64_t incarnation = 0;
  std::shared_ptr<const frames::FactSet> facts;
};
struct SourceDeparted {
  uint32_t rank = 0;
  uint64_t incarnation = 0;
};
// The stream behind `link` broke; ignored if the source has a newer link.
struct SourceDisconnected {
  uint32_t rank = 0;
  uint64_t incarnation = 0;
  std::shared_ptr<SourceLink> link;
};
// Another sender asked for a rank that is not its own, and was refused.
struct ClaimRefused {
  uint32_t rank = 0;
  uint64_t incarnation = 0;  // that it would have
};
struct TimePassed {};

using Message =
    std::variant<SourceOpened, SourceReported, FactsStated, SourceDeparted,
                 SourceDisconnected, ClaimRefused, TimePassed>;

enum class Posted {
  kTaken,
  kFull,     // taken; read no more until NotifyWhenDrained
  kRetired,  // not taken: the registry has forgotten this run
};

// Thread-safe. Messages are queued by any thread and processed in order by
// one executor thread at a time. Owned by the registry and by open streams.
class Run : public std::enable_shared_from_this<Run> {
 public:
  // `executor` and `history` outlive the run; without a history reports are
  // acknowledged at once, and nothing is kept.
  Run(std::string name, RunOptions options, Clock clock, AlertObserver observer,
      Executor& executor, history::Writer* history = nullptr,
      StepObserver steps = {});

  // Goes on where a daemon before this one was: attempts, open frames, what is
  // settled of each source, alerts, and baselines of the newest frames. The
  // run's clock goes on too, as if no time had passed. Requires: has a history,
  // and nothing has happened yet. After an error it is of no use.
  absl::Status Resume(const history::Reader& reader,
                      const history::StoredRun& stored);

  // `bytes`: what the message holds in memory, roughly.
  Posted Post(Message message, size_t bytes);
  // Calls back once, soon after the queue is below half its budget; at once if
  // it is now.
  void NotifyWhenDrained(std::function<void()> callback);
  // What Post() would say of the queue as it is.
  bool IsFull() const;
  // Never null.
  std::shared_ptr<const RunSnapshot> snapshot() const;
  // Refuses all further posts, if nothing is queued and `seen` is still the
  // newest snapshot; says whether it did.
  bool Retire(const std::shared_ptr<const RunSnapshot>& seen);
  // Hands what is not in the history yet to it. Requires: the executor has
  // ended.
  void Flush();
  // Its number in the history, 0 if it has none yet. Requires: as Flush(), or
  // Retire() did.
  int64_t history_run() const { return recorder_.run(); }

 private:
  struct Queued {
    Message message;
    size_t bytes;
    frames::Instant arrived;
  };
  struct Linked {
    uint64_t incarnation = 0;
    std::shared_ptr<SourceLink> link;
  };

  void Process();
  // The next message to handle; none if the queue is empty.
  std::optional<Queued> TakeQueued();
  // True if the incarnation counts, but this stream's Hello was refused or
  // another one has said Hello for it since.
  bool SpeaksForAnother(const SourceReported& message) const;
  void Handle(SourceOpened& message, frames::Instant now);
  void Handle(SourceReported& message, frames::Instant now);
  void Handle(FactsStated& message, frames::Instant now);
  void Handle(SourceDeparted& message, frames::Instant now);
  void Handle(SourceDisconnected& message, frames::Instant now);
  void Handle(ClaimRefused& message, frames::Instant now);
  void Handle(TimePassed& message, frames::Instant now);
  // Judges what the assembler let go.
  void JudgeEvents();
  void JudgeEvent(const frames::Event& event);
  void JudgeFrame(const std::shared_ptr<const frames::Frame>& frame);
  // Shows a frame that was judged before this daemon began.
  void ShowStored(const history::Judged& judged, absl::Time wall);
  // Ends the history's unit.
  void Submit();
  void ShowAlerts();
  void Publish();
  frames::Instant Now() const { return machine_clock_.monotonic() + ahead_; }
  std::shared_ptr<const std::vector<alert::Alert>> FiringAlerts() const;

  const std::string name_;
  const RunOptions options_;
  const Clock machine_clock_;
  // The run's clock is so much ahead; set before anybody else knows the run.
  absl::Duration ahead_;
  const AlertObserver observer_;
  Executor& executor_;

  // Touched only by the executor thread that processes.
  frames::FrameAssembler assembler_;
  Judge judge_;
  Recorder recorder_;
  std::optional<frames::SketchSpec> sketch_;
  std::map<uint32_t, Linked> links_;  // by rank
  std::vector<alert::Alert> changes_;
  const std::shared_ptr<FrameStore> store_;
  ShownRanks shown_ranks_;
  RunSnapshot draft_;  // what the next snapshot says
  frames::Instant last_now_;
  bool dirty_ = false;     // publish at the end of this turn
  bool reported_ = false;  // publish at the next tick

  mutable Mutex mutex_;
  std::deque<Queued> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool scheduled_ ABSL_GUARDED_BY(mutex_) = false;
  bool retired_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const RunSnapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_RUN_H_
