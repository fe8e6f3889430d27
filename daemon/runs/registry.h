// All runs that the daemon follows, and what it counts beside them.
#ifndef MUSTER_DAEMON_RUNS_REGISTRY_H_
#define MUSTER_DAEMON_RUNS_REGISTRY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/alert/alert.h"
#include "daemon/base/mutex.h"
#include "daemon/detect/detector.h"
#include "daemon/frames/assembler.h"
#include "daemon/runs/snapshot.h"

namespace muster::runs {

class Run;
class Executor;

struct RunOptions {
  frames::AssemblerOptions assembler;
  detect::DetectOptions detect;
  alert::AlertOptions alert;
  FrameStore::Options store;
  // Bytes of messages queued for one run; above it the run's streams are not
  // read until the queue drains.
  size_t queue_bytes = size_t{64} << 20;
  // An ended run disappears after this long.
  absl::Duration keep_ended = absl::Minutes(10);
  // A run without any connected source disappears after this long.
  absl::Duration keep_silent = absl::Hours(24);
};

// Thread-safe.
class Registry {
 public:
  struct Options {
    RunOptions run;
    int max_runs = 256;
    int worker_threads = 2;
  };

  explicit Registry(Options options);
  ~Registry();

  // The run of that id, created if there is room (RESOURCE_EXHAUSTED if not).
  absl::StatusOr<std::shared_ptr<Run>> FindOrCreate(std::string_view run);

  // Newest snapshot of each run, ordered by run id; never null elements.
  std::vector<std::shared_ptr<const RunSnapshot>> Snapshots() const;
  // Null if there is no such run.
  std::shared_ptr<const RunSnapshot> Snapshot(std::string_view run) const;

  // Passes time to all runs and forgets those that are over.
  void Tick(frames::Instant now);
  // Judges what is queued, then stops. Posts after it are ignored.
  void Drain();

 private:
  const Options options_;
  const std::unique_ptr<Executor> executor_;
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Run>, std::less<>> runs_
      ABSL_GUARDED_BY(mutex_);
};

// What the daemon counts that belongs to no run. Thread-safe.
class DaemonCounters {
 public:
  // `reason`: the RefusalReason's name in lower case, such as "invalid_norm".
  void CountRejected(std::string_view reason);
  std::map<std::string, uint64_t> Rejected() const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, uint64_t> rejected_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_REGISTRY_H_
