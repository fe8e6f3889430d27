#include "daemon/relay/spool_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster::relay {
namespace {

using history::Blob;
using history::Database;
using history::Statement;

// Rows of 2 KiB fit badly into SQLite's pages of 4 KiB. Incremental, so that
// the file shrinks once it is empty.
constexpr char kSettings[] =
    "PRAGMA page_size = 32768; PRAGMA auto_vacuum = INCREMENTAL;"
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216;";
constexpr char kSchema[] =
    "CREATE TABLE IF NOT EXISTS source (number INTEGER PRIMARY KEY,"
    " run TEXT NOT NULL, rank INTEGER NOT NULL, incarnation INTEGER NOT NULL,"
    " hello BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS facts (id INTEGER PRIMARY KEY,"
    " bytes BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY,"
    " run TEXT NOT NULL, source INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL, facts INTEGER NOT NULL,"
    " taken INTEGER NOT NULL, size INTEGER NOT NULL, bytes BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS entry_of_run ON entry (run, id);";
constexpr int64_t kVersion = 1;
// Looked at together when the oldest go.
constexpr int kTrimRows = 1024;

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }
uint64_t Unsigned(int64_t value) { return static_cast<uint64_t>(value); }

}  // namespace

SpoolFile::SpoolFile(std::unique_ptr<Database> database)
    : database_(std::move(database)) {}

absl::StatusOr<std::unique_ptr<SpoolFile>> SpoolFile::Open(
    const std::string& path) {
  auto database = Database::Open(path, Database::Mode::kCreate);
  if (!database.ok()) return database.status();
  std::unique_ptr<SpoolFile> file(new SpoolFile(*std::move(database)));
  absl::Status status = file->Prepare();
  if (status.ok()) status = file->Load();
  if (!status.ok()) return status;
  return file;
}

absl::Status SpoolFile::Prepare() {
  absl::Status status = database_->Execute(kSettings);
  if (!status.ok()) return status;
  const auto version = database_->Number("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*version != 0 && *version != kVersion) {
    // Set aside like what cannot be read: a newer musterd may still send it.
    return absl::DataLossError(absl::StrCat(
        database_->path(), ": spool of version ", *version, ", not 1"));
  }
  status = database_->Execute("BEGIN IMMEDIATE");
  if (status.ok()) status = database_->Execute(kSchema);
  if (status.ok()) status = database_->Execute("PRAGMA user_version = 1");
  if (status.ok()) status = database_->Execute("COMMIT");
  if (!status.ok()) return status;
  const auto prepare = [&](const char* sql, std::unique_ptr<Statement>& to) {
    if (!status.ok()) return;
    auto statement = database_->Prepare(sql);
    status = statement.status();
    if (status.ok()) to = std::make_unique<Statement>(*std::move(statement));
  };
  prepare("INSERT OR IGNORE INTO source VALUES (?1, ?2, ?3, ?4, ?5)",
          insert_source_);
  prepare("INSERT OR IGNORE INTO facts VALUES (?1, ?2)", insert_facts_);
  prepare("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
          insert_entry_);
  prepare(
      "SELECT id, source, kind, sequence, facts, taken, bytes FROM entry "
      "WHERE run = ?1 AND id > ?2 ORDER BY id",
      read_);
  prepare("SELECT bytes FROM facts WHERE id = ?1", facts_);
  prepare("SELECT id, run, kind, taken, size FROM entry ORDER BY id LIMIT 1024",
          oldest_);
  prepare(
      "SELECT count(*) FILTER (WHERE kind = 0), total(size) FROM entry "
      "WHERE run = ?1 AND id <= ?2",
      sum_);
  prepare("DELETE FROM entry WHERE run = ?1 AND id <= ?2", settle_);
  prepare("DELETE FROM entry WHERE id <= ?1", remove_);
  return status;
}

absl::Status SpoolFile::Load() {
  auto sources = database_->Prepare(
      "SELECT number, run, rank, incarnation, hello FROM source");
  if (!sources.ok()) return sources.status();
  for (;;) {
    const auto row = sources->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    const auto number = static_cast<uint32_t>(sources->Integer(0));
    next_number_ = std::max(next_number_, number + 1);
    origins_[number] = std::make_shared<const Origin>(
        Origin{number, std::string(sources->Text(1)),
               static_cast<uint32_t>(sources->Integer(2)),
               Unsigned(sources->Integer(3)), std::string(sources->Text(4))});
  }
  auto entries = database_->Prepare(
      "SELECT run, source, min(id), max(id), max(sequence), min(taken), "
      "count(*) FILTER (WHERE kind = 0), total(size), "
      "min(facts) FILTER (WHERE kind = 0) FROM entry "
      "GROUP BY run, source ORDER BY run, source");
  if (!entries.ok()) return entries.status();
  for (;;) {
    const auto row = entries->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    const auto origin =
        origins_.find(static_cast<uint32_t>(entries->Integer(1)));
    if (origin == origins_.end()) {
      return absl::DataLossError("an entry of no source");
    }
    const std::string run(entries->Text(0));
    const int64_t first = entries->Integer(2);
    const int64_t last = entries->Integer(3);
    const absl::Time oldest = absl::FromUnixMillis(entries->Integer(5));
    reports_ += Unsigned(entries->Integer(6));
    bytes_ += Unsigned(entries->Integer(7));
    next_id_ = std::max(next_id_, last + 1);
    SpooledRun::Source source{origin->second, Unsigned(entries->Integer(4)),
                              last, nullptr};
    if (!entries->IsNull(8)) {
      auto facts = FactsOf(entries->Integer(8));
      if (!facts.ok()) return facts.status();
      source.first_facts = *std::move(facts);
    }
    if (found_.empty() || found_.back().run != run) {
      found_.push_back({run, first, last, oldest, {}});
    }
    SpooledRun& found = found_.back();
    found.first_id = std::min(found.first_id, first);
    found.last_id = std::max(found.last_id, last);
    found.oldest = std::min(found.oldest, oldest);
    found.sources.push_back(std::move(source));
  }
  const auto newest_facts = database_->Number("SELECT max(id) FROM facts");
  if (!newest_facts.ok()) return newest_facts.status();
  next_id_ = std::max(next_id_, *newest_facts + 1);
  return absl::OkStatus();
}

absl::Status SpoolFile::Append(const std::vector<Entry>& entries) {
  absl::Status status = database_->Execute("BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  status = Insert(entries);
  if (status.ok()) status = database_->Execute("COMMIT");
  if (!status.ok()) {
    // Without effect where SQLite has rolled back by itself. What it holds is
    // not known any more; it is stored again, if need be.
    (void)database_->Execute("ROLLBACK");
    for (const Entry& entry : entries) {
      stored_sources_.erase(entry.origin->number);
      if (entry.facts != nullptr) stored_facts_.erase(entry.facts->id);
    }
    return status;
  }
  for (const Entry& entry : entries) {
    reports_ += entry.kind == Entry::Kind::kReport ? 1 : 0;
    bytes_ += entry.size();
  }
  return status;
}

absl::Status SpoolFile::Insert(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    const Origin& origin = *entry.origin;
    absl::Status status;
    origins_.emplace(origin.number, entry.origin);
    if (stored_sources_.insert(origin.number).second) {
      status = insert_source_->Run(
          {int64_t{origin.number}, origin.run, int64_t{origin.rank},
           Signed(origin.incarnation), Blob{origin.hello}});
      if (!status.ok()) return status;
    }
    if (entry.facts != nullptr &&
        stored_facts_.insert(entry.facts->id).second) {
      status = insert_facts_->Run({entry.facts->id, Blob{entry.facts->bytes}});
      if (!status.ok()) return status;
    }
    status = insert_entry_->Run(
        {entry.id, origin.run, int64_t{origin.number},
         static_cast<int64_t>(entry.kind), Signed(entry.sequence),
         entry.facts == nullptr ? int64_t{0} : entry.facts->id,
         absl::ToUnixMillis(entry.taken), Signed(entry.size()),
         Blob{*entry.bytes}});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Entry>> SpoolFile::Read(const std::string& run,
                                                   int64_t after,
                                                   size_t bytes) {
  std::vector<Entry> entries;
  size_t size = 0;
  read_->Bind({run, after});
  for (;;) {
    const auto row = read_->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    const auto origin = origins_.find(static_cast<uint32_t>(read_->Integer(1)));
    if (origin == origins_.end()) {
      return absl::DataLossError("an entry of no source");
    }
    Entry entry{.id = read_->Integer(0),
                .kind = static_cast<Entry::Kind>(read_->Integer(2)),
                .origin = origin->second,
                .sequence = Unsigned(read_->Integer(3)),
                .facts = nullptr,
                .bytes = std::make_shared<const std::string>(read_->Text(6)),
                .taken = absl::FromUnixMillis(read_->Integer(5))};
    if (entry.kind == Entry::Kind::kReport) {
      auto facts = FactsOf(read_->Integer(4));
      if (!facts.ok()) return facts.status();
      entry.facts = *std::move(facts);
    }
    size += entry.size();
    entries.push_back(std::move(entry));
    if (size >= bytes) break;
  }
  read_->Bind({});  // ends it where rows are left, so that it holds no lock
  return entries;
}

absl::StatusOr<std::shared_ptr<const StatedFacts>> SpoolFile::FactsOf(
    int64_t id) {
  if (newest_facts_ != nullptr && newest_facts_->id == id) return newest_facts_;
  facts_->Bind({id});
  const auto row = facts_->Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::DataLossError("a report without its facts");
  newest_facts_ = std::make_shared<const StatedFacts>(
      StatedFacts{id, std::string(facts_->Text(0))});
  facts_->Bind({});
  return newest_facts_;
}

absl::Status SpoolFile::Settle(const std::string& run, int64_t through) {
  sum_->Bind({run, through});
  const auto row = sum_->Step();
  if (!row.ok()) return row.status();
  const uint64_t reports = Unsigned(sum_->Integer(0));
  const uint64_t bytes = Unsigned(sum_->Integer(1));
  sum_->Bind({});
  absl::Status status = settle_->Run({run, through});
  return status.ok() ? Removed(reports, bytes) : status;
}

absl::StatusOr<std::vector<SpoolFile::Dropped>> SpoolFile::Trim(
    size_t max_bytes, absl::Time oldest) {
  std::map<std::string, Dropped> dropped;
  const int64_t cutoff = absl::ToUnixMillis(oldest);
  for (bool more = true; more && bytes_ > 0;) {
    int rows = 0;
    int64_t through = 0;
    uint64_t reports = 0;
    uint64_t bytes = 0;
    oldest_->Bind({});
    for (;; ++rows) {
      const auto row = oldest_->Step();
      if (!row.ok()) return row.status();
      if (!*row) break;
      if (bytes_ - bytes <= max_bytes && oldest_->Integer(3) >= cutoff) break;
      Dropped& each = dropped[std::string(oldest_->Text(1))];
      each.through = through = oldest_->Integer(0);
      bytes += Unsigned(oldest_->Integer(4));
      if (oldest_->Integer(2) != 0) continue;
      ++each.reports;
      ++reports;
    }
    oldest_->Bind({});
    if (rows == 0) break;
    absl::Status status = remove_->Run({through});
    if (status.ok()) status = Removed(reports, bytes);
    if (!status.ok()) return status;
    more = rows == kTrimRows;
  }
  std::vector<Dropped> all;
  for (auto& [run, each] : dropped) {
    each.run = run;
    all.push_back(std::move(each));
  }
  return all;
}

absl::Status SpoolFile::Removed(uint64_t reports, uint64_t bytes) {
  reports_ -= std::min(reports_, reports);
  bytes_ -= std::min(bytes_, bytes);
  if (bytes_ > 0) return absl::OkStatus();
  origins_.clear();
  stored_sources_.clear();
  stored_facts_.clear();
  newest_facts_ = nullptr;
  return database_->Execute(
      "BEGIN IMMEDIATE; DELETE FROM source; DELETE FROM facts; COMMIT;"
      "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)");
}

}  // namespace muster::relay
