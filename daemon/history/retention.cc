#include "daemon/history/retention.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace muster::history {
namespace {

// Rows deleted in one step.
constexpr int64_t kStepRows = 512;

// Of sketches, those near alerts and the others have a budget each.
absl::StatusOr<bool> TrimSketches(Database& database, int64_t budget) {
  bool more = false;
  for (const int64_t near_alert : {0, 1}) {
    // The newest rows that fit stay.
    auto sizes = database.Prepare(
        "SELECT rowid, length(sketches) FROM sketch WHERE near_alert=? "
        "ORDER BY rowid DESC");
    if (!sizes.ok()) return sizes.status();
    sizes->Bind({near_alert});
    int64_t left = budget;
    std::optional<int64_t> last;
    for (;;) {
      const auto row = sizes->Step();
      if (!row.ok()) return row.status();
      if (!*row) break;
      left -= sizes->Integer(1);
      if (left < 0) {
        last = sizes->Integer(0);
        break;
      }
    }
    if (!last) continue;
    auto trim = database.Prepare(
        "DELETE FROM sketch WHERE rowid IN (SELECT rowid FROM sketch WHERE "
        "near_alert=? AND rowid<=? ORDER BY rowid LIMIT ?)");
    if (!trim.ok()) return trim.status();
    // Its own end must not hold the lock of the reader above.
    sizes->Bind({near_alert});
    absl::Status status = trim->Run({near_alert, *last, kStepRows});
    if (!status.ok()) return status;
    const auto changes = database.Number("SELECT changes()");
    if (!changes.ok()) return changes.status();
    more |= *changes == kStepRows;
  }
  return more;
}

struct OldFrame {
  int64_t row = 0;
  int64_t run = 0;
  int64_t position = 0;
};

// The oldest frames that must go.
absl::StatusOr<std::vector<OldFrame>> FramesToDelete(Database& database,
                                                     const Options& options,
                                                     absl::Time now) {
  const auto used = UsedBytes(database);
  if (!used.ok()) return used.status();
  const bool too_large = *used > options.max_bytes;
  const int64_t oldest = absl::ToUnixNanos(now - options.max_age);
  auto frames = database.Prepare(
      "SELECT rowid, run, position, wall_ns FROM frame ORDER BY rowid LIMIT ?");
  if (!frames.ok()) return frames.status();
  frames->Bind({kStepRows});
  std::vector<OldFrame> found;
  for (;;) {
    const auto row = frames->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    if (!too_large && frames->Integer(3) >= oldest) break;
    found.push_back(
        {frames->Integer(0), frames->Integer(1), frames->Integer(2)});
  }
  return found;
}

absl::Status DeleteFrames(Database& database,
                          const std::vector<OldFrame>& frames) {
  auto frame = database.Prepare("DELETE FROM frame WHERE rowid=?");
  auto sketch =
      database.Prepare("DELETE FROM sketch WHERE run=? AND position=?");
  // Ticks are most of the events; the others are few, and a restart needs them.
  auto ticks = database.Prepare(
      "DELETE FROM event WHERE run=? AND position<? AND kind='ticks'");
  absl::Status status = frame.status();
  status.Update(sketch.status());
  status.Update(ticks.status());
  for (const OldFrame& old : frames) {
    if (!status.ok()) return status;
    status = frame->Run({old.row});
    status.Update(sketch->Run({old.run, old.position}));
  }
  if (status.ok() && !frames.empty()) {
    const OldFrame& last = frames.back();
    status = ticks->Run({last.run, last.position});
  }
  return status;
}

// Runs that nobody goes on with, that began too long ago or had to make room,
// and have no frame left.
absl::Status DeleteEmptyRuns(Database& database, bool made_room,
                             const Options& options, absl::Time now) {
  auto runs = database.Prepare(
      "SELECT run FROM run WHERE NOT open AND (?1 OR began_ns<?2) AND NOT "
      "EXISTS (SELECT 1 FROM frame WHERE frame.run=run.run) LIMIT 16");
  if (!runs.ok()) return runs.status();
  runs->Bind({int64_t{made_room}, absl::ToUnixNanos(now - options.max_age)});
  std::vector<int64_t> gone;
  for (;;) {
    const auto row = runs->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    gone.push_back(runs->Integer(0));
  }
  for (const int64_t run : gone) {
    for (const char* table : {"event", "alert", "fact", "source", "sketch",
                              "checkpoint", "open_report", "run"}) {
      const std::string sql =
          absl::StrCat("DELETE FROM ", table, " WHERE run=", run);
      absl::Status status = database.Execute(sql.c_str());
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Trimmed> TrimInTransaction(Database& database,
                                          const Options& options,
                                          absl::Time now) {
  Trimmed trimmed;
  const auto more_sketches = TrimSketches(database, options.sketch_bytes);
  if (!more_sketches.ok()) return more_sketches.status();
  const auto frames = FramesToDelete(database, options, now);
  if (!frames.ok()) return frames.status();
  absl::Status status = DeleteFrames(database, *frames);
  if (!status.ok()) return status;
  status = DeleteEmptyRuns(database, !frames->empty(), options, now);
  if (!status.ok()) return status;
  trimmed.frames = static_cast<int64_t>(frames->size());
  trimmed.more = *more_sketches || trimmed.frames == kStepRows;
  return trimmed;
}

}  // namespace

absl::StatusOr<int64_t> UsedBytes(Database& database) {
  int64_t numbers[3] = {};
  const char* pragmas[3] = {"PRAGMA page_count", "PRAGMA freelist_count",
                            "PRAGMA page_size"};
  for (int i = 0; i < 3; ++i) {
    const auto number = database.Number(pragmas[i]);
    if (!number.ok()) return number.status();
    numbers[i] = *number;
  }
  return (numbers[0] - numbers[1]) * numbers[2];
}

absl::StatusOr<Trimmed> Trim(Database& database, const Options& options,
                             absl::Time now) {
  absl::Status status = database.Execute("BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  auto trimmed = TrimInTransaction(database, options, now);
  if (trimmed.ok()) status = database.Execute("COMMIT");
  if (!trimmed.ok() || !status.ok()) {
    (void)database.Execute("ROLLBACK");
    return trimmed.ok() ? status : trimmed.status();
  }
  if (trimmed->frames > 0) {
    status = database.Execute("PRAGMA incremental_vacuum(4096)");
    if (!status.ok()) return status;
  }
  return trimmed;
}

}  // namespace muster::history
