// The spool's SQLite file: internal to the spool.
#ifndef MUSTER_DAEMON_RELAY_SPOOL_FILE_H_
#define MUSTER_DAEMON_RELAY_SPOOL_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/history/sqlite.h"
#include "daemon/relay/spool.h"

namespace muster::relay {

// Thread-compatible; owned by the spool's thread.
class SpoolFile {
 public:
  // Creates it if need be, and reads what it holds.
  static absl::StatusOr<std::unique_ptr<SpoolFile>> Open(
      const std::string& path);

  const std::vector<SpooledRun>& found() const { return found_; }
  uint32_t next_number() const { return next_number_; }
  int64_t next_id() const { return next_id_; }
  uint64_t reports() const { return reports_; }
  uint64_t bytes() const { return bytes_; }

  absl::Status Append(const std::vector<Entry>& entries);
  absl::StatusOr<std::vector<Entry>> Read(const std::string& run, int64_t after,
                                          size_t bytes);
  absl::Status Settle(const std::string& run, int64_t through);

  struct Dropped {
    std::string run;
    int64_t through = 0;
    uint64_t reports = 0;
  };
  // Removes the oldest while they are older than `oldest`, or all together
  // take more than `max_bytes`.
  absl::StatusOr<std::vector<Dropped>> Trim(size_t max_bytes,
                                            absl::Time oldest);

 private:
  explicit SpoolFile(std::unique_ptr<history::Database> database);
  absl::Status Prepare();
  absl::Status Load();
  absl::Status Insert(const std::vector<Entry>& entries);
  absl::StatusOr<std::shared_ptr<const StatedFacts>> FactsOf(int64_t id);
  // Counts again what is there; tidies up if that is nothing.
  absl::Status Removed(uint64_t reports, uint64_t bytes);

  const std::unique_ptr<history::Database> database_;
  std::unique_ptr<history::Statement> insert_source_, insert_facts_,
      insert_entry_, read_, facts_, oldest_, sum_, settle_, remove_;
  std::map<uint32_t, std::shared_ptr<const Origin>> origins_;
  // Known to be in the file.
  std::set<uint32_t> stored_sources_;
  std::set<int64_t> stored_facts_;
  std::shared_ptr<const StatedFacts> newest_facts_;  // that was read
  std::vector<SpooledRun> found_;
  uint32_t next_number_ = 1;
  int64_t next_id_ = 1;
  uint64_t reports_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_SPOOL_FILE_H_
