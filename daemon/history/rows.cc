#include "daemon/history/rows.h"

#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "daemon/history/checkpoint_codec.h"
#include "daemon/history/event_codec.h"
#include "daemon/history/frame_codec.h"
#include "daemon/history/names.h"

namespace muster::history {
namespace {

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

Value OrNull(const std::optional<double>& value) {
  if (!value) return nullptr;
  return *value;
}

Value OrNull(const std::optional<uint32_t>& value) {
  if (!value) return nullptr;
  return int64_t{*value};
}

Value OrNull(const std::string& bytes) {
  if (bytes.empty()) return nullptr;
  return Blob{bytes};
}

absl::StatusOr<int64_t> NumberOfRun(Database& database, const char* sql,
                                    int64_t run) {
  auto statement = database.Prepare(sql);
  if (!statement.ok()) return statement.status();
  statement->Bind({run});
  const auto row = statement->Step();
  if (!row.ok()) return row.status();
  return *row ? statement->Integer(0) : 0;
}

}  // namespace

struct Rows::Statements {
  Statement run, close_others, close_run, drop_checkpoint, drop_open_reports;
  Statement frame, sketch, near_alert, event, source, alert, fact;
  Statement checkpoint, progress, open_report, closed_report;
};

absl::StatusOr<std::unique_ptr<Rows>> Rows::Create(Database& database) {
  absl::Status failed;
  const auto prepare = [&](const char* sql) {
    auto statement = database.Prepare(sql);
    if (statement.ok()) return *std::move(statement);
    failed.Update(statement.status());
    return Statement::None();
  };
  std::unique_ptr<Statements> statements(new Statements{
      .run = prepare("INSERT OR IGNORE INTO run VALUES(?,?,?,1,?)"),
      .close_others = prepare("UPDATE run SET open=0 WHERE name=? AND run<>?"),
      .close_run = prepare("UPDATE run SET open=0 WHERE run=?"),
      .drop_checkpoint = prepare("DELETE FROM checkpoint WHERE run NOT IN "
                                 "(SELECT run FROM run WHERE open)"),
      .drop_open_reports = prepare("DELETE FROM open_report WHERE run NOT IN "
                                   "(SELECT run FROM run WHERE open)"),
      .frame = prepare("INSERT OR REPLACE INTO frame VALUES"
                       "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
      .sketch = prepare("INSERT OR REPLACE INTO sketch VALUES(?,?,?,?)"),
      .near_alert = prepare("UPDATE sketch SET near_alert=1 WHERE run=? AND "
                            "position BETWEEN ? AND ?"),
      .event = prepare("INSERT OR REPLACE INTO event VALUES(?,?,?,?,?,?,?)"),
      .source = prepare(
          "INSERT OR REPLACE INTO source VALUES(?,?,?,?,?,?,?,?,?,?,?)"),
      .alert =
          prepare("INSERT OR REPLACE INTO alert VALUES(?,?,?,?,?,?,?,?,?)"),
      .fact = prepare("INSERT OR REPLACE INTO fact VALUES(?,?,?,?,?)"),
      .checkpoint =
          prepare("INSERT OR REPLACE INTO checkpoint VALUES(?,?,?,?,?,?)"),
      .progress = prepare("UPDATE checkpoint SET next_position=?, at_ns=?, "
                          "wall_ns=?, progress=? WHERE run=?"),
      .open_report =
          prepare("INSERT OR REPLACE INTO open_report VALUES(?,?,?,?,?)"),
      .closed_report = prepare("DELETE FROM open_report WHERE run=? AND rank=? "
                               "AND incarnation=? AND sequence=?"),
  });
  if (!failed.ok()) return failed;
  return std::unique_ptr<Rows>(new Rows(database, std::move(statements)));
}

Rows::Rows(Database& database, std::unique_ptr<Statements> statements)
    : database_(database), statements_(std::move(statements)) {}

Rows::~Rows() = default;

absl::Status Rows::Begin(const StoredRun& run) {
  absl::Status status = statements_->run.Run(
      {run.run, run.name, absl::ToUnixNanos(run.began), run.configuration});
  status.Update(statements_->close_others.Run({run.name, run.run}));
  status.Update(statements_->drop_checkpoint.Run({}));
  status.Update(statements_->drop_open_reports.Run({}));
  return status;
}

absl::Status Rows::End(int64_t run) {
  runs_.erase(run);
  absl::Status status = statements_->close_run.Run({run});
  status.Update(statements_->drop_checkpoint.Run({}));
  status.Update(statements_->drop_open_reports.Run({}));
  return status;
}

absl::StatusOr<Rows::RunRows*> Rows::Find(int64_t run) {
  auto it = runs_.find(run);
  if (it != runs_.end()) return &it->second;
  const auto last =
      NumberOfRun(database_, "SELECT max(fact_set) FROM fact WHERE run=?", run);
  if (!last.ok()) return last.status();
  RunRows rows(static_cast<uint64_t>(*last));
  auto open = database_.Prepare(
      "SELECT rank, incarnation, sequence FROM open_report WHERE run=?");
  if (!open.ok()) return open.status();
  open->Bind({run});
  for (;;) {
    const auto row = open->Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    rows.open_reports.emplace(static_cast<uint32_t>(open->Integer(0)),
                              static_cast<uint64_t>(open->Integer(1)),
                              static_cast<uint64_t>(open->Integer(2)));
  }
  return &runs_.emplace(run, std::move(rows)).first->second;
}

uint64_t Rows::NumberOf(int64_t run, RunRows& rows,
                        const std::shared_ptr<const frames::FactSet>& facts) {
  std::vector<std::pair<uint64_t, std::shared_ptr<const frames::FactSet>>>
      fresh;
  const uint64_t number = rows.facts.Number(facts, fresh);
  for (const auto& [set, content] : fresh) {
    for (const auto& [name, fact] : *content) {
      fact_status_.Update(statements_->fact.Run(
          {run, Signed(set), name, fact.value, int64_t{fact.shown_only}}));
    }
  }
  return number;
}

absl::Status Rows::Put(const Unit& unit, bool with_sketches) {
  const auto found = Find(unit.run);
  if (!found.ok()) return found.status();
  RunRows& rows = **found;
  for (const Entry& entry : unit.entries) {
    const auto* judged = std::get_if<Judged>(&entry.body);
    absl::Status status = judged != nullptr ? PutFrame(unit.run, entry, *judged,
                                                       with_sketches, rows)
                                            : PutEvent(unit.run, entry, rows);
    if (!status.ok()) return status;
  }
  absl::Status status = PutAlerts(unit, rows);
  if (status.ok() && unit.checkpoint) {
    status = PutCheckpoint(unit.run, *unit.checkpoint, rows);
  }
  status.Update(std::exchange(fact_status_, absl::OkStatus()));
  return status;
}

absl::Status Rows::PutFrame(int64_t run, const Entry& entry,
                            const Judged& judged, bool with_sketches,
                            RunRows& rows) {
  const frames::Frame& frame = *judged.frame;
  const consistency::Measures& measures = *judged.measures;
  const FrameColumns columns = EncodeFrame(
      judged, [&](const auto& facts) { return NumberOf(run, rows, facts); });
  const auto spread = [](const std::optional<consistency::Spread>& of,
                         double consistency::Spread::*member) -> Value {
    if (!of) return nullptr;
    return (*of).*member;
  };
  using consistency::Spread;
  absl::Status status =
      statements_->frame.Run({run,
                              Signed(entry.position),
                              absl::ToUnixNanos(entry.wall),
                              int64_t{frame.attempt},
                              Signed(frame.step),
                              int64_t{frame.world_size},
                              Signed(frame.reports.size()),
                              std::string_view(NameOf(frame.reason)),
                              absl::ToInt64Nanoseconds(frame.first_arrival),
                              absl::ToInt64Nanoseconds(frame.last_arrival),
                              absl::ToInt64Nanoseconds(frame.closed_at),
                              OrNull(measures.loss_mean),
                              spread(measures.loss, &Spread::stddev),
                              spread(measures.gradient_norm, &Spread::mean),
                              spread(measures.gradient_norm, &Spread::stddev),
                              OrNull(measures.cosine_mean),
                              OrNull(measures.cosine_min),
                              OrNull(measures.cosine_expected),
                              OrNull(measures.noise_scale),
                              Blob{columns.ranks},
                              OrNull(columns.loss),
                              OrNull(columns.gradient_norm),
                              OrNull(columns.weight),
                              OrNull(columns.step_seconds),
                              OrNull(columns.gradient_cosine),
                              Blob{columns.more}});
  if (!status.ok() || !with_sketches) return status;
  const std::string sketches = EncodeSketches(frame);
  if (sketches.empty()) return status;
  const bool near_alert = entry.position <= rows.near_alert_until;
  return statements_->sketch.Run(
      {run, Signed(entry.position), int64_t{near_alert}, Blob{sketches}});
}

absl::Status Rows::PutEvent(int64_t run, const Entry& entry, RunRows& rows) {
  const auto number = [&](const auto& facts) {
    return NumberOf(run, rows, facts);
  };
  const EventColumns event = EncodeEvent(entry.body, number);
  absl::Status status = statements_->event.Run(
      {run, Signed(entry.position), absl::ToUnixNanos(entry.wall), event.kind,
       OrNull(event.rank), OrNull(event.attempt), Blob{event.body}});
  const auto* up = std::get_if<frames::SourceUp>(&entry.body);
  if (!status.ok() || up == nullptr) return status;
  const frames::SourceInfo& info = up->info;
  return statements_->source.Run(
      {run, int64_t{info.rank}, Signed(info.incarnation),
       absl::ToUnixNanos(entry.wall), int64_t{info.world_size},
       Signed(info.parameter_count), int64_t{info.sketch.width}, info.host,
       int64_t{info.pid}, info.client_version,
       up->facts ? Signed(number(up->facts)) : 0});
}

absl::Status Rows::PutAlerts(const Unit& unit, RunRows& rows) {
  uint64_t position = 0;
  int64_t ordinal = 0;
  for (const AlertChange& change : unit.alerts) {
    ordinal = change.position == position ? ordinal + 1 : 0;
    position = change.position;
    const alert::Alert& alert = change.alert;
    const std::string body = EncodeAlert(alert);
    absl::Status status = statements_->alert.Run(
        {unit.run, Signed(position), ordinal, absl::ToUnixNanos(alert.changed),
         Signed(alert.id),
         std::string_view(detect::KindName(alert.finding.kind)),
         std::string_view(alert::StateName(alert.state)), change.line,
         Blob{body}});
    if (status.ok() && alert.state == alert::State::kFiring) {
      rows.near_alert_until = position + kNearAlert;
      status =
          statements_->near_alert.Run({unit.run, Signed(position) - kNearAlert,
                                       Signed(position) + kNearAlert});
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Rows::PutCheckpoint(int64_t run, const Checkpoint& checkpoint,
                                 RunRows& rows) {
  const std::string progress = EncodeProgress(checkpoint);
  const int64_t next = Signed(checkpoint.next_position);
  const int64_t at = absl::ToInt64Nanoseconds(checkpoint.now);
  const int64_t wall = absl::ToUnixNanos(checkpoint.wall);
  absl::Status status;
  if (rows.sources_version == checkpoint.assembler.sources_version) {
    status = statements_->progress.Run({next, at, wall, Blob{progress}, run});
  } else {
    rows.sources_version = checkpoint.assembler.sources_version;
    const std::string sources = EncodeSources(
        checkpoint,
        [&](const auto& facts) { return NumberOf(run, rows, facts); });
    status = statements_->checkpoint.Run(
        {run, next, at, wall, Blob{progress}, Blob{sources}});
  }
  if (!status.ok()) return status;
  return PutOpenReports(run, checkpoint, rows);
}

absl::Status Rows::PutOpenReports(int64_t run, const Checkpoint& checkpoint,
                                  RunRows& rows) {
  std::set<ReportKey> open;
  for (const auto& report : checkpoint.open_reports) {
    const ReportKey key(report->report.rank, report->incarnation,
                        report->report.sequence);
    open.insert(key);
    if (rows.open_reports.erase(key) > 0) continue;
    const std::string body = EncodeOpenReport(
        *report, [&](const auto& facts) { return NumberOf(run, rows, facts); });
    absl::Status status = statements_->open_report.Run(
        {run, int64_t{report->report.rank}, Signed(report->incarnation),
         Signed(report->report.sequence), Blob{body}});
    if (!status.ok()) return status;
  }
  // What is left is open no more.
  for (const auto& [rank, incarnation, sequence] : rows.open_reports) {
    absl::Status status = statements_->closed_report.Run(
        {run, int64_t{rank}, Signed(incarnation), Signed(sequence)});
    if (!status.ok()) return status;
  }
  rows.open_reports = std::move(open);
  return absl::OkStatus();
}

}  // namespace muster::history
