// The relay's disk: what upstream cannot take waits here, first come, first
// sent.
#ifndef MUSTER_DAEMON_RELAY_SPOOL_H_
#define MUSTER_DAEMON_RELAY_SPOOL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/relay/entry.h"
#include "daemon/relay/options.h"
#include "daemon/relay/stats.h"

namespace muster::relay {

// One run's part of the spool, found when the relay starts.
struct SpooledRun {
  struct Source {
    std::shared_ptr<const Origin> origin;
    uint64_t last_sequence = 0;
    int64_t last_id = 0;
    std::shared_ptr<const StatedFacts> first_facts;  // null: only a Goodbye
  };
  std::string run;
  int64_t first_id = 0;
  int64_t last_id = 0;
  absl::Time oldest;
  std::vector<Source> sources;
};

// Calls on its thread for what the lines have to know.
struct SpoolEvents {
  // The oldest entries of a run, up to that id, are gone; so many are reports.
  std::function<void(const std::string& run, int64_t through, uint64_t reports,
                     Where where)>
      dropped;
  // All is gone: the file was corrupt, and is set aside.
  std::function<void(uint64_t reports)> lost;
  // One line for the log.
  std::function<void(bool failing, const std::string& line)> log;
};

// One SQLite file and a thread that reads and writes it, in the order of calls.
// Answers come on that thread. What was appended survives a kill of the
// process. An error costs the call, not the spool: the next one tries again,
// and a corrupt file is renamed to make place for a new one. Thread-safe.
class Spool {
 public:
  // Tries to open the file, and tells the log if it cannot be.
  Spool(SpoolOptions options, std::function<absl::Time()> wall,
        SpoolEvents events);
  // As Stop().
  ~Spool();

  // What was in the file, ordered by run. Before anything else.
  std::vector<SpooledRun> TakeFound();
  // Above all numbers and ids in the file.
  uint32_t next_number() const { return next_number_; }
  int64_t next_id() const { return next_id_; }

  // Stores the entries, whose ids exceed all stored; drops the oldest where
  // they take too much room.
  void Append(std::vector<Entry> entries, std::function<void(bool ok)> done);
  // Entries of the run after that id, in order: at least one if there is any,
  // and no more than it takes to reach `bytes`.
  void Read(std::string run, int64_t after, size_t bytes,
            std::function<void(absl::StatusOr<std::vector<Entry>>)> done);
  // Forgets the run's entries up to that id.
  void Settle(std::string run, int64_t through);

  SpoolStats stats() const;
  // Does what was asked for, and ends the thread. Idempotent.
  void Stop();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
  uint32_t next_number_ = 1;
  int64_t next_id_ = 1;
};

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_SPOOL_H_
