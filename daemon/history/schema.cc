#include "daemon/history/schema.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"

namespace muster::history {
namespace {

// One step for each version: what it adds to the version before. A step that
// has been released is never changed.
constexpr std::array<const char*, kSchemaVersion> kSteps = {
    // 1: the tables.
    R"sql(
CREATE TABLE run(
  run INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  began_ns INTEGER NOT NULL,
  open INTEGER NOT NULL,
  configuration TEXT NOT NULL);
CREATE INDEX run_by_name ON run(name);

CREATE TABLE frame(
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  wall_ns INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  step INTEGER NOT NULL,
  ranks_expected INTEGER NOT NULL,
  ranks_reporting INTEGER NOT NULL,
  closed_because TEXT NOT NULL,
  first_arrival_ns INTEGER NOT NULL,
  last_arrival_ns INTEGER NOT NULL,
  closed_at_ns INTEGER NOT NULL,
  loss_mean REAL, loss_stddev REAL,
  gradient_norm_mean REAL, gradient_norm_stddev REAL,
  cosine_mean REAL, cosine_min REAL, cosine_expected REAL,
  noise_scale REAL,
  ranks BLOB NOT NULL,
  loss BLOB, gradient_norm BLOB, weight BLOB, step_seconds BLOB,
  gradient_cosine BLOB,
  more BLOB NOT NULL,
  UNIQUE(run, position));
CREATE INDEX frame_by_step ON frame(run, attempt, step);

CREATE TABLE sketch(
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  near_alert INTEGER NOT NULL,
  sketches BLOB NOT NULL,
  UNIQUE(run, position));
CREATE INDEX sketch_by_alert ON sketch(near_alert);

CREATE TABLE event(
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  wall_ns INTEGER NOT NULL,
  kind TEXT NOT NULL,
  rank INTEGER, attempt INTEGER,
  body BLOB NOT NULL,
  UNIQUE(run, position));

CREATE TABLE alert(
  run INTEGER NOT NULL,
  position INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  wall_ns INTEGER NOT NULL,
  id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  line TEXT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE(run, position, ordinal));

CREATE TABLE fact(
  run INTEGER NOT NULL,
  fact_set INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  shown_only INTEGER NOT NULL,
  UNIQUE(run, fact_set, name));

CREATE TABLE checkpoint(
  run INTEGER PRIMARY KEY,
  next_position INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  wall_ns INTEGER NOT NULL,
  progress BLOB NOT NULL,
  sources BLOB NOT NULL);

CREATE TABLE open_report(
  run INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  report BLOB NOT NULL,
  UNIQUE(run, rank, incarnation, sequence));
)sql",
    // 2: sources and per-rank values for people.
    R"sql(
CREATE TABLE source(
  run INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  wall_ns INTEGER NOT NULL,
  world_size INTEGER NOT NULL,
  parameter_count INTEGER NOT NULL,
  sketch_width INTEGER NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  client_version TEXT NOT NULL,
  fact_set INTEGER NOT NULL,
  UNIQUE(run, rank, incarnation));

-- One row for each rank's value: eight bytes of IEEE 754 each, taken apart.
CREATE VIEW rank_value AS
WITH
  packed AS (
    SELECT run, position, attempt, step, metric.value AS metric,
           hex(substr(ranks, 4 * item.key + 1, 4)) AS r,
           hex(substr(CASE metric.value
                        WHEN 'loss' THEN loss
                        WHEN 'gradient_norm' THEN gradient_norm
                        WHEN 'gradient_cosine' THEN gradient_cosine
                        WHEN 'weight' THEN weight
                        ELSE step_seconds END, 8 * item.key + 1, 8)) AS h
      FROM frame,
           json_each('["loss","gradient_norm","gradient_cosine","weight",'
                     || '"step_seconds"]') AS metric,
           json_each('[0' || replace(hex(zeroblob(ranks_reporting - 1)), '00',
                                     ',0') || ']') AS item
     WHERE ranks_reporting > 0),
  parts AS (
    SELECT run, position, attempt, step, metric,
           instr(d, substr(r, 2, 1)) + (instr(d, substr(r, 1, 1)) << 4) +
           (instr(d, substr(r, 4, 1)) << 8) +
           (instr(d, substr(r, 3, 1)) << 12) +
           (instr(d, substr(r, 6, 1)) << 16) +
           (instr(d, substr(r, 5, 1)) << 20) +
           (instr(d, substr(r, 8, 1)) << 24) +
           (instr(d, substr(r, 7, 1)) << 28) AS rank,
           instr(d, substr(h, 2, 1)) + (instr(d, substr(h, 1, 1)) << 4) +
           (instr(d, substr(h, 4, 1)) << 8) +
           (instr(d, substr(h, 3, 1)) << 12) +
           (instr(d, substr(h, 6, 1)) << 16) +
           (instr(d, substr(h, 5, 1)) << 20) +
           (instr(d, substr(h, 8, 1)) << 24) +
           (instr(d, substr(h, 7, 1)) << 28) +
           (instr(d, substr(h, 10, 1)) << 32) +
           (instr(d, substr(h, 9, 1)) << 36) +
           (instr(d, substr(h, 12, 1)) << 40) +
           (instr(d, substr(h, 11, 1)) << 44) +
           (instr(d, substr(h, 14, 1)) << 48) AS fraction,
           instr(d, substr(h, 13, 1)) + (instr(d, substr(h, 16, 1)) << 4) +
           ((instr(d, substr(h, 15, 1)) & 7) << 8) AS exponent,
           instr(d, substr(h, 15, 1)) >= 8 AS negative
      FROM packed, (SELECT '123456789ABCDEF' AS d)
     WHERE h <> '')
  SELECT run, position, attempt, step, rank, metric,
         CASE exponent
           WHEN 2047 THEN NULL
           WHEN 0 THEN fraction * pow(2.0, -1074)
           ELSE (1 + fraction * pow(2.0, -52)) * pow(2.0, exponent - 1023)
         END * (1 - 2 * negative) AS value
    FROM parts;
)sql",
};

absl::Status Check(const std::string& path, int64_t application,
                   int64_t version, bool exact) {
  if (application != kApplicationId) {
    return absl::DataLossError(absl::StrCat(path, ": not a Muster history"));
  }
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": written by a newer Muster: its version is ",
                     version, ", this program knows up to ", kSchemaVersion));
  }
  if (exact && version < kSchemaVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": written by an older Muster: its version is ",
                     version, ", this program reads ", kSchemaVersion,
                     "; a musterd that opens it brings it up to date"));
  }
  return absl::OkStatus();
}

absl::Status Migrate(Database& database, int64_t version) {
  for (auto step = version; step < kSchemaVersion; ++step) {
    const std::string sql =
        absl::StrCat("BEGIN IMMEDIATE;", kSteps[static_cast<size_t>(step)],
                     "PRAGMA application_id=", kApplicationId,
                     ";PRAGMA user_version=", step + 1, ";COMMIT;");
    absl::Status status = database.Execute(sql.c_str());
    if (!status.ok()) {
      // Nothing to undo if it could not begin.
      (void)database.Execute("ROLLBACK");
      return status;
    }
  }
  return absl::OkStatus();
}

struct Versions {
  int64_t application = 0;
  int64_t schema = 0;
};

absl::StatusOr<Versions> VersionsOf(Database& database) {
  const auto application = database.Number("PRAGMA application_id");
  if (!application.ok()) return application.status();
  const auto schema = database.Number("PRAGMA user_version");
  if (!schema.ok()) return schema.status();
  return Versions{*application, *schema};
}

// Whether nobody can write in the file's folder, or not this process: then
// SQLite cannot make the files that it reads a WAL database with.
bool IsInReadOnlyFolder(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return ::access(folder.c_str(), W_OK) != 0 &&
         (errno == EROFS || errno == EACCES);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> OpenForWriting(
    const std::string& path) {
  auto database = Database::Open(path, Database::Mode::kCreate);
  if (!database.ok()) return database.status();
  // Space of what is deleted goes back to the disk; takes effect in a file
  // without tables only. WAL: readers and the writer do not wait for each
  // other. FULL: a commit is on the disk when it returns.
  for (const char* pragma :
       {"PRAGMA auto_vacuum=INCREMENTAL", "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL", "PRAGMA secure_delete=OFF",
        "PRAGMA journal_size_limit=67108864"}) {
    absl::Status status = (*database)->Execute(pragma);
    if (!status.ok()) return status;
  }
  const auto versions = VersionsOf(**database);
  if (!versions.ok()) return versions.status();
  const auto tables = (*database)->Number("SELECT count(*) FROM sqlite_master");
  if (!tables.ok()) return tables.status();
  if (*tables > 0) {
    absl::Status status = Check(path, versions->application, versions->schema,
                                /*exact=*/false);
    if (!status.ok()) return status;
  }
  absl::Status status = Migrate(**database, versions->schema);
  if (!status.ok()) return status;
  return database;
}

absl::StatusOr<std::unique_ptr<Database>> OpenForReading(
    const std::string& path) {
  auto database = Database::Open(path, Database::Mode::kRead);
  if (!database.ok()) return database.status();
  auto versions = VersionsOf(**database);
  if (absl::IsNotFound(versions.status()) && IsInReadOnlyFolder(path)) {
    // Changes are not seen: elsewhere the error may pass, as when descriptors
    // have run out.
    database = Database::Open(path, Database::Mode::kReadImmutable);
    if (!database.ok()) return database.status();
    versions = VersionsOf(**database);
  }
  if (!versions.ok()) return versions.status();
  absl::Status status =
      Check(path, versions->application, versions->schema, /*exact=*/true);
  if (!status.ok()) return status;
  return database;
}

}  // namespace muster::history
