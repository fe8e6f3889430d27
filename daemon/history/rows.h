// Puts units into the tables: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_ROWS_H_
#define MUSTER_DAEMON_HISTORY_ROWS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/history/fact_table.h"
#include "daemon/history/record.h"
#include "daemon/history/sqlite.h"

namespace muster::history {

// Knows of each run what is in the file already, so that only what changed is
// written. After a transaction that did not commit it must be created anew.
// Thread-compatible; owned by the writer's thread.
class Rows {
 public:
  // Frames on either side of an alert whose sketches are kept longer.
  static constexpr int64_t kNearAlert = 16;

  static absl::StatusOr<std::unique_ptr<Rows>> Create(Database& database);
  ~Rows();

  // Requires for all: inside a transaction.
  absl::Status Begin(const StoredRun& run);
  absl::Status End(int64_t run);
  absl::Status Put(const Unit& unit, bool with_sketches);

 private:
  // rank, incarnation, sequence
  using ReportKey = std::tuple<uint32_t, uint64_t, uint64_t>;
  struct RunRows {
    explicit RunRows(uint64_t last_fact_set) : facts(last_fact_set) {}
    FactTable facts;
    std::set<ReportKey> open_reports;  // in the file
    std::optional<uint64_t> sources_version;
    uint64_t near_alert_until = 0;  // position
  };
  struct Statements;

  explicit Rows(Database& database, std::unique_ptr<Statements> statements);

  absl::StatusOr<RunRows*> Find(int64_t run);
  // Numbers the set, and writes it if it is new; failures are kept in
  // fact_status_.
  uint64_t NumberOf(int64_t run, RunRows& rows,
                    const std::shared_ptr<const frames::FactSet>& facts);
  absl::Status PutFrame(int64_t run, const Entry& entry, const Judged& judged,
                        bool with_sketches, RunRows& rows);
  absl::Status PutEvent(int64_t run, const Entry& entry, RunRows& rows);
  absl::Status PutAlerts(const Unit& unit, RunRows& rows);
  absl::Status PutCheckpoint(int64_t run, const Checkpoint& checkpoint,
                             RunRows& rows);
  absl::Status PutOpenReports(int64_t run, const Checkpoint& checkpoint,
                              RunRows& rows);

  Database& database_;
  const std::unique_ptr<Statements> statements_;
  std::map<int64_t, RunRows> runs_;
  absl::Status fact_status_;
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_ROWS_H_
