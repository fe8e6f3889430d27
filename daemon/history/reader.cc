#include "daemon/history/reader.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/history/checkpoint_codec.h"
#include "daemon/history/event_codec.h"
#include "daemon/history/frame_codec.h"
#include "daemon/history/names.h"
#include "daemon/history/schema.h"

namespace muster::history {
namespace {

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }
uint64_t Unsigned(int64_t value) { return static_cast<uint64_t>(value); }

// The sets of facts of one run, read as they are asked for.
class StoredFacts {
 public:
  StoredFacts(Database& database, int64_t run)
      : database_(database), run_(run) {}

  FactLookup lookup() {
    return [this](uint64_t set) { return Find(set); };
  }
  // Of the queries so far.
  const absl::Status& status() const { return status_; }

 private:
  std::shared_ptr<const frames::FactSet> Find(uint64_t set) {
    if (set == 0) return nullptr;
    auto& found = sets_[set];
    if (found != nullptr) return found;
    auto facts = std::make_shared<frames::FactSet>();
    found = facts;
    auto query = database_.Prepare(
        "SELECT name, value, shown_only FROM fact WHERE run=? AND fact_set=?");
    if (!query.ok()) {
      status_.Update(query.status());
      return found;
    }
    query->Bind({run_, Signed(set)});
    for (;;) {
      const auto row = query->Step();
      status_.Update(row.status());
      if (!row.ok() || !*row) break;
      (*facts)[std::string(query->Text(0))] = {std::string(query->Text(1)),
                                               query->Integer(2) != 0};
    }
    return found;
  }

  Database& database_;
  const int64_t run_;
  std::map<uint64_t, std::shared_ptr<const frames::FactSet>> sets_;
  absl::Status status_;
};

// A query whose rows have a position in column 0.
class Rows {
 public:
  explicit Rows(Statement statement) : statement_(std::move(statement)) {}

  // Moves to the next row.
  absl::Status Next() {
    const auto row = statement_.Step();
    if (!row.ok()) return row.status();
    position_ =
        *row ? std::optional(Unsigned(statement_.Integer(0))) : std::nullopt;
    return absl::OkStatus();
  }
  // Absent after the last row.
  const std::optional<uint64_t>& position() const { return position_; }
  Statement& row() { return statement_; }

 private:
  Statement statement_;
  std::optional<uint64_t> position_;
};

absl::StatusOr<Rows> Query(Database& database, const char* sql, int64_t run,
                           uint64_t from, uint64_t to) {
  auto statement = database.Prepare(sql);
  if (!statement.ok()) return statement.status();
  statement->Bind({run, Signed(from), Signed(to)});
  Rows rows(*std::move(statement));
  absl::Status status = rows.Next();
  if (!status.ok()) return status;
  return rows;
}

absl::StatusOr<Entry> FrameOf(Statement& row, const FactLookup& facts,
                              bool with_sketches) {
  Entry entry;
  entry.wall = absl::FromUnixNanos(row.Integer(1));
  frames::Frame frame;
  frame.attempt = static_cast<uint32_t>(row.Integer(2));
  frame.step = Unsigned(row.Integer(3));
  frame.world_size = static_cast<uint32_t>(row.Integer(4));
  const auto reason = CloseReasonOf(row.Text(5));
  if (!reason) return absl::DataLossError("a frame closed for no known reason");
  frame.reason = *reason;
  frame.first_arrival = absl::Nanoseconds(row.Integer(6));
  frame.last_arrival = absl::Nanoseconds(row.Integer(7));
  frame.closed_at = absl::Nanoseconds(row.Integer(8));
  const auto text = [&](int column) { return std::string(row.Text(column)); };
  auto judged = DecodeFrame({.ranks = text(9),
                             .loss = text(10),
                             .gradient_norm = text(11),
                             .weight = text(12),
                             .step_seconds = text(13),
                             .gradient_cosine = {},
                             .more = text(14)},
                            std::move(frame), facts);
  if (!judged.ok()) return judged.status();
  if (with_sketches && !row.IsNull(15)) {
    auto whole = std::make_shared<frames::Frame>(*judged->frame);
    absl::Status status = DecodeSketches(row.Text(15), *whole);
    if (!status.ok()) return status;
    judged->frame = std::move(whole);
  }
  entry.body = *std::move(judged);
  return entry;
}

absl::StatusOr<Entry> EventOf(Statement& row, const FactLookup& facts) {
  Entry entry;
  entry.wall = absl::FromUnixNanos(row.Integer(1));
  auto body = DecodeEvent(row.Text(2), row.Text(3), facts);
  if (!body.ok()) return body.status();
  entry.body = *std::move(body);
  return entry;
}

constexpr char kFrames[] =
    "SELECT frame.position, wall_ns, attempt, step, ranks_expected, "
    "closed_because, first_arrival_ns, last_arrival_ns, closed_at_ns, ranks, "
    "loss, gradient_norm, weight, step_seconds, more, NULL FROM frame "
    "WHERE run=?1 AND position>=?2 AND position<?3 ORDER BY position";
constexpr char kFramesWithSketches[] =
    "SELECT frame.position, wall_ns, attempt, step, ranks_expected, "
    "closed_because, first_arrival_ns, last_arrival_ns, closed_at_ns, ranks, "
    "loss, gradient_norm, weight, step_seconds, more, sketches FROM frame "
    "LEFT JOIN sketch ON sketch.run=frame.run AND "
    "sketch.position=frame.position "
    "WHERE frame.run=?1 AND frame.position>=?2 AND frame.position<?3 "
    "ORDER BY frame.position";
constexpr char kEvents[] =
    "SELECT position, wall_ns, kind, body FROM event "
    "WHERE run=?1 AND position>=?2 AND position<?3 ORDER BY position";

constexpr char kEventsOnly[] =
    "SELECT position, wall_ns, kind, body FROM event "
    "WHERE run=?1 AND position>=?2 AND position<?3 AND kind<>'ticks' "
    "ORDER BY position";

}  // namespace

class Reader::Impl {
 public:
  explicit Impl(std::unique_ptr<Database> database)
      : database_(std::move(database)) {}

  Database& database() { return *database_; }

  // Names the file in errors of the codecs.
  absl::Status Named(const absl::Status& status, int64_t run,
                     uint64_t position) const {
    return absl::Status(
        status.code(),
        absl::StrCat(database_->path(), ": run ", run, ", position ", position,
                     ": ", status.message()));
  }

 private:
  const std::unique_ptr<Database> database_;
};

absl::StatusOr<std::unique_ptr<Reader>> Reader::Open(const std::string& path) {
  auto database = OpenForReading(path);
  if (!database.ok()) return database.status();
  return std::unique_ptr<Reader>(
      new Reader(std::make_unique<Impl>(*std::move(database))));
}

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::~Reader() = default;

absl::StatusOr<std::vector<StoredRun>> Reader::Runs() const {
  auto query = impl_->database().Prepare(
      "SELECT run, name, began_ns, open, configuration FROM run ORDER BY run");
  if (!query.ok()) return query.status();
  std::vector<StoredRun> runs;
  for (;;) {
    const auto row = query->Step();
    if (!row.ok()) return row.status();
    if (!*row) return runs;
    runs.push_back({.run = query->Integer(0),
                    .name = std::string(query->Text(1)),
                    .began = absl::FromUnixNanos(query->Integer(2)),
                    .open = query->Integer(3) != 0,
                    .configuration = std::string(query->Text(4))});
  }
}

absl::Status Reader::ReadEntries(
    int64_t run, uint64_t from, uint64_t to, What what,
    const std::function<absl::Status(const Entry&)>& take) const {
  Database& database = impl_->database();
  StoredFacts facts(database, run);
  const bool with_sketches = what == What::kWithSketches;
  const bool events_only = what == What::kEvents;
  // Nothing is before position 1.
  auto frames = Query(database, with_sketches ? kFramesWithSketches : kFrames,
                      run, from, events_only ? 0 : to);
  if (!frames.ok()) return frames.status();
  auto events = Query(database, events_only ? kEventsOnly : kEvents, run, from,
                      what == What::kFrames ? 0 : to);
  if (!events.ok()) return events.status();
  while (frames->position() || events->position()) {
    const bool is_frame =
        frames->position() &&
        (!events->position() || *frames->position() < *events->position());
    Rows& rows = is_frame ? *frames : *events;
    auto entry = is_frame ? FrameOf(rows.row(), facts.lookup(), with_sketches)
                          : EventOf(rows.row(), facts.lookup());
    absl::Status status = entry.status();
    status.Update(facts.status());
    if (!status.ok()) return impl_->Named(status, run, *rows.position());
    entry->position = *rows.position();
    status = take(*entry);
    if (status.ok()) status = rows.Next();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<AlertChange>> Reader::Alerts(int64_t run) const {
  auto query = impl_->database().Prepare(
      "SELECT position, body, line FROM alert WHERE run=? "
      "ORDER BY position, ordinal");
  if (!query.ok()) return query.status();
  query->Bind({run});
  std::vector<AlertChange> changes;
  for (;;) {
    const auto row = query->Step();
    if (!row.ok()) return row.status();
    if (!*row) return changes;
    const uint64_t position = Unsigned(query->Integer(0));
    auto alert = DecodeAlert(query->Text(1));
    if (!alert.ok()) return impl_->Named(alert.status(), run, position);
    changes.push_back(
        {position, *std::move(alert), std::string(query->Text(2))});
  }
}

absl::StatusOr<std::shared_ptr<const Checkpoint>> Reader::LastCheckpoint(
    int64_t run) const {
  Database& database = impl_->database();
  auto query = database.Prepare(
      "SELECT next_position, at_ns, wall_ns, progress, sources "
      "FROM checkpoint WHERE run=?");
  if (!query.ok()) return query.status();
  query->Bind({run});
  const auto row = query->Step();
  if (!row.ok()) return row.status();
  if (!*row) return nullptr;
  StoredFacts facts(database, run);
  auto checkpoint = std::make_shared<Checkpoint>();
  checkpoint->next_position = Unsigned(query->Integer(0));
  checkpoint->now = absl::Nanoseconds(query->Integer(1));
  checkpoint->wall = absl::FromUnixNanos(query->Integer(2));
  absl::Status status =
      DecodeSources(query->Text(4), facts.lookup(), *checkpoint);
  if (status.ok()) status = DecodeProgress(query->Text(3), *checkpoint);
  status.Update(facts.status());
  if (!status.ok()) {
    return impl_->Named(status, run, checkpoint->next_position);
  }
  auto reports = database.Prepare(
      "SELECT report FROM open_report WHERE run=? ORDER BY rank, sequence");
  if (!reports.ok()) return reports.status();
  reports->Bind({run});
  for (;;) {
    const auto more = reports->Step();
    if (!more.ok()) return more.status();
    if (!*more) break;
    auto open = DecodeOpenReport(reports->Text(0), facts.lookup());
    status = open.status();
    status.Update(facts.status());
    if (!status.ok()) {
      return impl_->Named(status, run, checkpoint->next_position);
    }
    checkpoint->open_reports.push_back(
        std::make_shared<const OpenReport>(*std::move(open)));
  }
  return checkpoint;
}

absl::StatusOr<Window> Reader::NewestWindow(int64_t run, int64_t max_frames,
                                            int64_t max_bytes,
                                            int64_t max_events) const {
  Database& database = impl_->database();
  Window window;
  // Most of a frame's bytes are its columns.
  auto frames = database.Prepare(
      "SELECT position, length(ranks) + ifnull(length(loss), 0) + "
      "ifnull(length(gradient_norm), 0) + ifnull(length(weight), 0) + "
      "ifnull(length(step_seconds), 0) + length(more) FROM frame "
      "WHERE run=? ORDER BY position DESC LIMIT ?");
  if (!frames.ok()) return frames.status();
  frames->Bind({run, max_frames});
  for (;;) {
    const auto row = frames->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    max_bytes -= frames->Integer(1);
    if (max_bytes < 0) break;
    window.first_frame = Unsigned(frames->Integer(0));
  }
  auto events = database.Prepare(
      "SELECT min(position) FROM (SELECT position FROM event WHERE run=? AND "
      "kind<>'ticks' AND position<? ORDER BY position DESC LIMIT ?)");
  if (!events.ok()) return events.status();
  events->Bind({run, Signed(window.first_frame), max_events});
  const auto row = events->Step();
  if (!row.ok()) return row.status();
  window.first_event = *row && !events->IsNull(0) ? Unsigned(events->Integer(0))
                                                  : window.first_frame;
  return window;
}

}  // namespace muster::history
