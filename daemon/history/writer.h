// Writes the history: a queue, and one thread that empties it into SQLite.
#ifndef MUSTER_DAEMON_HISTORY_WRITER_H_
#define MUSTER_DAEMON_HISTORY_WRITER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/history/options.h"
#include "daemon/history/record.h"

namespace muster::history {

// What the writer tells /metrics; totals count from the daemon's start.
struct WriterStats {
  bool up = true;  // false from a failed commit to the next good one
  int64_t file_bytes = 0;
  int64_t queue_bytes = 0;
  uint64_t commits = 0;
  double commit_seconds = 0;  // spent in all of them
  uint64_t frames = 0;        // stored
  uint64_t frames_lost = 0;   // judged, but not stored
  uint64_t frames_deleted = 0;
  // Failed commits by reason: "full", "locked", "io", "corrupt", "other".
  std::map<std::string, uint64_t> errors;
};

// Units are stored in the order in which they are written, several in one
// transaction. A transaction is on the disk before its units are settled, so
// that neither kill −9 nor a power failure loses what was settled as stored.
//
// What cannot be stored (full disk, locked file) waits in the queue and is
// tried again each second; meanwhile units are settled at once, and when the
// queue is full they are dropped and counted. A corrupt file is renamed to
// PATH.corrupt-TIME, and a new one begun. PATH.lock says that there is a
// writer. Each change between the two states is one line of the log.
//
// Thread-safe.
class Writer {
 public:
  // Called on the writer's thread; `failing` says how bad it is.
  using Log = std::function<void(bool failing, const std::string& line)>;

  // Opens or creates the file and starts the thread. FAILED_PRECONDITION if the
  // file is of a newer version, or if another process is its writer.
  static absl::StatusOr<std::unique_ptr<Writer>> Open(
      const std::string& path, Options options,
      std::function<absl::Time()> wall_clock, Log log);
  // As Stop().
  ~Writer();

  // A new run. Open runs of that name are open no more.
  int64_t Begin(const std::string& name, const std::string& configuration,
                absl::Time began);
  // Goes on with a run that a Reader found there.
  void Continue(const StoredRun& run);
  // Queues; never waits. Units of one run come in order.
  void Write(Unit unit);
  // Nobody goes on with the run.
  void End(int64_t run);

  // Waits until all that is queued is stored; the error if that failed.
  absl::Status Flush();
  // Stores what is queued, if it can, then ends the thread and closes the file.
  // Units written later are settled and not stored.
  void Stop();

  WriterStats stats() const;
  const std::string& path() const;

 private:
  class Impl;
  explicit Writer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_WRITER_H_
