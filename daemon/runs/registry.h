// All runs that the daemon follows, and what it counts beside them.
#ifndef MUSTER_DAEMON_RUNS_REGISTRY_H_
#define MUSTER_DAEMON_RUNS_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/base/clock.h"
#include "daemon/base/mutex.h"
#include "daemon/history/reader.h"
#include "daemon/history/writer.h"
#include "daemon/runs/executor.h"
#include "daemon/runs/run.h"
#include "daemon/runs/snapshot.h"

namespace muster::runs {

// Thread-safe.
class Registry {
 public:
  struct Options {
    RunOptions run;
    // Runs followed at once; a newcomer is refused, what is there goes on.
    int max_runs = 256;
    // Threads that judge; runs take turns on them.
    int worker_threads = 2;
    // An ended run disappears after this long.
    absl::Duration keep_ended = absl::Minutes(10);
    // A run without any connected source disappears after this long.
    absl::Duration keep_silent = absl::Hours(24);
  };

  // `observer` is also told, on the thread that calls Open() or Tick(), that
  // the alerts of a run that is forgotten are over.
  // `history`, which may be null, outlives the registry; `steps` may be empty,
  // and what it needs outlives the history.
  Registry(Options options, Clock clock, AlertObserver observer,
           history::Writer* history = nullptr, StepObserver steps = {});
  // As Drain().
  ~Registry();

  // Goes on with the open runs of `reader`, which reads what `history` writes;
  // calls `failed` for each with which it cannot. Returns their number. Before
  // anything else.
  int Resume(const history::Reader& reader,
             const std::function<void(const std::string& run,
                                      const absl::Status&)>& failed);

  // Opens a source of the run, which is created if there is room;
  // RESOURCE_EXHAUSTED if there is none. Requires: facts are not null.
  absl::StatusOr<std::shared_ptr<Run>> Open(std::string_view run,
                                            SourceOpened source);

  // Tells a run, if there is one of that id. `message` is small.
  void Post(std::string_view run, Message message);

  // Newest snapshot of each run, ordered by run id; never null elements.
  std::vector<std::shared_ptr<const RunSnapshot>> Snapshots() const;
  // Null if there is no such run.
  std::shared_ptr<const RunSnapshot> Snapshot(std::string_view run) const;

  // Options of runs that begin from now on; running ones keep theirs.
  void Reconfigure(RunOptions options);

  // Passes time to all runs and forgets those that are over.
  void Tick();
  // Judges what is queued and hands it to the history, then stops. Posts after
  // it are ignored.
  void Drain();

 private:
  // Null if there is no room; adds what had to make room for it.
  std::shared_ptr<Run> FindOrCreate(
      std::string_view run,
      std::vector<std::shared_ptr<const RunSnapshot>>& forgotten);
  // Forgets runs that ended or fell silent long enough ago; if `make_room` all
  // ended ones, and those that fell silent as long ago as ended ones are kept.
  // Returns what they looked like last, for TellForgotten().
  std::vector<std::shared_ptr<const RunSnapshot>> Forget(bool make_room)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Who was told of their alerts is told that they are over: nobody else will.
  void TellForgotten(
      const std::vector<std::shared_ptr<const RunSnapshot>>& forgotten);

  const Options options_;
  const Clock clock_;
  const AlertObserver observer_;
  history::Writer* const history_;
  const StepObserver steps_;
  Executor executor_;
  mutable Mutex mutex_;
  RunOptions run_options_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<Run>, std::less<>> runs_
      ABSL_GUARDED_BY(mutex_);
};

// What the daemon counts that belongs to no run. Thread-safe.
class DaemonCounters {
 public:
  // Counts this reason from 0, so that its first refusal is an increase.
  void Declare(std::string_view reason);
  // `reason`: the RefusalReason's name in lower case, such as "invalid_norm".
  void CountRejected(std::string_view reason);
  std::map<std::string, uint64_t> Rejected() const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, uint64_t> rejected_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_REGISTRY_H_
