#include "cli/format.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/table.h"
#include "cli/words.h"

namespace muster::cli {
namespace {

std::string RunsTable(const v1::ListRunsResponse& runs, const Style& style) {
  Table table;
  table.AddColumn("RUN", Align::kLeft);
  table.AddColumn("STATE", Align::kLeft);
  table.AddColumn("ATTEMPT", Align::kRight);
  table.AddColumn("STEP", Align::kRight);
  table.AddColumn("RANKS", Align::kRight);
  table.AddColumn("LOSS", Align::kRight);
  table.AddColumn("STDDEV", Align::kRight);
  table.AddColumn("COSINE", Align::kRight);
  table.AddColumn("EXPECTED", Align::kRight);
  table.AddColumn("PARTIAL", Align::kRight);
  table.AddColumn("DROPPED", Align::kRight);
  table.AddColumn("ALERTS", Align::kRight);
  table.AddColumn("AGE", Align::kRight);
  for (const v1::Run& run : runs.runs()) {
    const v1::Step& step = run.newest();
    table.AddRow(
        {run.run(), StateOf(run), absl::StrCat(run.attempt()),
         run.has_newest() ? absl::StrCat(step.step()) : "-",
         run.has_newest() ? StepRanks(step)
                          : absl::StrCat("0/", run.world_size()),
         MUSTER_NUMBER(step, loss_mean), MUSTER_NUMBER(step, loss_stddev),
         MUSTER_NUMBER(step, gradient_cosine_mean),
         MUSTER_NUMBER(step, gradient_cosine_expected),
         absl::StrCat(run.frames_partial()),
         absl::StrCat(run.reports_dropped()), absl::StrCat(run.alerts_firing()),
         run.has_newest() ? Age(run.newest_unix_nanos(), style.now) : "-"});
  }
  return table.ToString();
}

std::string ToJson(const google::protobuf::Message& message, bool indented) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.add_whitespace = indented;
  std::string json;
  const auto status =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  return status.ok() ? json : "{}";
}

}  // namespace

bool IsHealthy(const v1::Run& run) {
  if (run.alerts_firing() > 0 || run.state() == v1::SILENT) return false;
  return !run.has_newest() ||
         run.newest().ranks_reporting() == run.newest().ranks_expected();
}

std::string RunVerdict(const v1::Run& run, const Style& style) {
  const v1::Step& step = run.newest();
  std::string line = absl::StrCat(run.run(), ": ");
  Colour colour = IsHealthy(run) ? Colour::kGreen : Colour::kYellow;
  if (run.alerts_firing() > 0) {
    colour = Colour::kRed;
    absl::StrAppend(&line, Count(run.alerts_firing(), "alert"),
                    run.alerts_firing() == 1 ? " fires" : " fire");
    if (run.has_newest()) absl::StrAppend(&line, " at step ", step.step());
  } else if (run.state() == v1::SILENT) {
    line += "silent, no rank is connected";
    if (run.has_newest()) {
      absl::StrAppend(&line, "; step ", step.step(), " was judged ",
                      Age(run.newest_unix_nanos(), style.now), " ago");
    }
  } else if (run.state() == v1::ENDED && run.has_newest()) {
    // What was wrong while it ran is resolved by now: "agree" would hide it.
    absl::StrAppend(&line, "ended at step ", step.step());
  } else if (!run.has_newest()) {
    absl::StrAppend(&line, run.ranks_connected(), " of ", run.world_size(),
                    " ranks are connected, no step is judged yet");
  } else if (!IsHealthy(run)) {
    absl::StrAppend(&line, "only ", step.ranks_reporting(), " of ",
                    step.ranks_expected(), " ranks reported step ",
                    step.step());
  } else {
    absl::StrAppend(&line, step.ranks_reporting(), " of ",
                    step.ranks_expected(), " ranks agree at step ",
                    step.step());
  }
  return Coloured(Printable(line), colour, style.colour);
}

std::string AlertVerdict(const v1::Alert& alert, const Style& style) {
  std::string line =
      absl::StrCat(alert.run(), ": ", alert.kind(), ": ", WhoOf(alert));
  if (!alert.subject().empty()) absl::StrAppend(&line, ", ", alert.subject());
  absl::StrAppend(&line, ", since step ", alert.first_step());
  if (alert.silent()) line += ", the mean loss does not show it";
  absl::StrAppend(&line, ": ", alert.evidence());
  return Coloured(Printable(line), Colour::kRed, style.colour);
}

std::string FormatStatus(const v1::ListRunsResponse& runs,
                         const v1::ListAlertsResponse& alerts,
                         const Style& style) {
  if (runs.runs().empty()) return "no runs\n";
  std::string out;
  for (const v1::Run& run : runs.runs()) {
    bool explained = false;
    uint64_t over = 0;
    for (const v1::Alert& alert : alerts.alerts()) {
      if (alert.run() != run.run()) continue;
      if (alert.state() == v1::FIRING) {
        absl::StrAppend(&out, AlertVerdict(alert, style), "\n");
        explained = true;
      } else if (alert.fired_unix_nanos() > 0) {
        ++over;
      }
    }
    if (explained) continue;
    out += RunVerdict(run, style);
    if (over > 0) {
      absl::StrAppend(&out, "; ", Count(over, "alert"), " fired before");
    }
    out += "\n";
  }
  return absl::StrCat(out, "\n", RunsTable(runs, style));
}

std::string FormatRuns(const v1::ListRunsResponse& runs, const Style& style) {
  if (runs.runs().empty()) return "no runs\n";
  const auto healthy =
      std::count_if(runs.runs().begin(), runs.runs().end(), IsHealthy);
  const bool all = healthy == runs.runs_size();
  std::string out = Coloured(
      absl::StrCat(Count(runs.runs_size(), "run"), ", ", healthy, " healthy"),
      all ? Colour::kGreen : Colour::kRed, style.colour);
  absl::StrAppend(&out, "\n\n", RunsTable(runs, style), "\n");
  Table attempts;
  attempts.AddColumn("RUN", Align::kLeft);
  attempts.AddColumn("ATTEMPT", Align::kRight);
  attempts.AddColumn("CAUSE", Align::kLeft);
  attempts.AddColumn("RANKS", Align::kRight);
  attempts.AddColumn("STEPS", Align::kLeft);
  attempts.AddColumn("FRAMES", Align::kRight);
  for (const v1::Run& run : runs.runs()) {
    for (const v1::Attempt& attempt : run.attempts()) {
      attempts.AddRow(
          {run.run(), absl::StrCat(attempt.attempt()), attempt.cause(),
           absl::StrCat(attempt.world_size()),
           attempt.frames() == 0
               ? "-"
               : absl::StrCat(attempt.first_step(), "-", attempt.last_step()),
           absl::StrCat(attempt.frames())});
    }
  }
  return absl::StrCat(out, attempts.ToString());
}

std::string FormatRanks(const v1::Run& run, const v1::ListRanksResponse& ranks,
                        const Style& style) {
  Table table;
  table.AddColumn("RANK", Align::kRight);
  table.AddColumn("STATE", Align::kLeft);
  table.AddColumn("HOST", Align::kLeft);
  table.AddColumn("PID", Align::kRight);
  table.AddColumn("STEP", Align::kRight);
  table.AddColumn("LAG", Align::kRight);
  table.AddColumn("LOSS", Align::kRight);
  table.AddColumn("NORM", Align::kRight);
  table.AddColumn("COSINE", Align::kRight);
  table.AddColumn("DIVERGENCE", Align::kRight);
  table.AddColumn("NONFINITE", Align::kRight);
  table.AddColumn("DROPPED", Align::kRight);
  for (const v1::Rank& rank : ranks.ranks()) {
    const v1::RankValues& values = rank.values();
    table.AddRow({absl::StrCat(rank.rank()), RankState(rank), rank.host(),
                  absl::StrCat(rank.pid()),
                  rank.has_last_step() ? absl::StrCat(rank.last_step()) : "-",
                  rank.has_last_step() && !rank.departed()
                      ? absl::StrCat(rank.lag_steps())
                      : "-",
                  MUSTER_NUMBER(values, loss),
                  MUSTER_NUMBER(values, gradient_norm),
                  MUSTER_NUMBER(values, gradient_cosine),
                  MUSTER_NUMBER(values, divergence),
                  absl::StrCat(values.nonfinite_count()),
                  absl::StrCat(rank.reports_dropped())});
  }
  return absl::StrCat(RunVerdict(run, style), "\n\n", table.ToString());
}

std::string FormatSteps(const v1::Run& run, const v1::ListStepsResponse& steps,
                        const Style& style) {
  Table table;
  table.AddColumn("STEP", Align::kRight);
  table.AddColumn("ATTEMPT", Align::kRight);
  table.AddColumn("RANKS", Align::kRight);
  table.AddColumn("LOSS", Align::kRight);
  table.AddColumn("STDDEV", Align::kRight);
  table.AddColumn("NORM", Align::kRight);
  table.AddColumn("STDDEV", Align::kRight);
  table.AddColumn("COSINE", Align::kRight);
  table.AddColumn("MIN", Align::kRight);
  table.AddColumn("EXPECTED", Align::kRight);
  table.AddColumn("NOISE", Align::kRight);
  table.AddColumn("NOTE", Align::kLeft);
  for (const v1::Step& step : steps.steps()) {
    table.AddRow({absl::StrCat(step.step()), absl::StrCat(step.attempt()),
                  StepRanks(step), MUSTER_NUMBER(step, loss_mean),
                  MUSTER_NUMBER(step, loss_stddev),
                  MUSTER_NUMBER(step, gradient_norm_mean),
                  MUSTER_NUMBER(step, gradient_norm_stddev),
                  MUSTER_NUMBER(step, gradient_cosine_mean),
                  MUSTER_NUMBER(step, gradient_cosine_min),
                  MUSTER_NUMBER(step, gradient_cosine_expected),
                  MUSTER_NUMBER(step, gradient_noise_scale),
                  step.superseded() ? "superseded" : ""});
  }
  const std::string body =
      steps.steps().empty() ? "no steps in this range\n" : table.ToString();
  return absl::StrCat(RunVerdict(run, style), "\n\n", body);
}

std::string FormatAlerts(const v1::ListAlertsResponse& alerts,
                         const Style& style) {
  uint64_t firing = 0;
  Table table;
  table.AddColumn("ID", Align::kRight);
  table.AddColumn("STATE", Align::kLeft);
  table.AddColumn("SEVERITY", Align::kLeft);
  table.AddColumn("RUN", Align::kLeft);
  table.AddColumn("KIND", Align::kLeft);
  table.AddColumn("SUBJECT", Align::kLeft);
  table.AddColumn("RANKS", Align::kLeft);
  table.AddColumn("STEPS", Align::kLeft);
  table.AddColumn("AGE", Align::kRight);
  table.AddColumn("EVIDENCE", Align::kLeft);
  for (const v1::Alert& alert : alerts.alerts()) {
    if (alert.state() == v1::FIRING) ++firing;
    table.AddRow({absl::StrCat(alert.id()), StateOf(alert), SeverityOf(alert),
                  alert.run(), alert.kind(), alert.subject(),
                  alert.ranks().empty() ? "-" : RankList(alert.ranks()),
                  StepsOf(alert), Age(alert.changed_unix_nanos(), style.now),
                  alert.evidence()});
  }
  const std::string verdict =
      firing == 0 ? "no alert fires"
                  : absl::StrCat(Count(firing, "alert"),
                                 firing == 1 ? " fires" : " fire");
  std::string out = Coloured(
      verdict, firing == 0 ? Colour::kGreen : Colour::kRed, style.colour);
  absl::StrAppend(&out, "\n");
  const std::string rows = table.ToString();
  if (!rows.empty()) absl::StrAppend(&out, "\n", rows);
  return out;
}

std::string FormatJson(const google::protobuf::Message& message) {
  return ToJson(message, true);
}

std::string FormatCompactJson(const google::protobuf::Message& message) {
  return ToJson(message, false);
}

std::string FormatStatusJson(const v1::ListRunsResponse& runs,
                             const v1::ListAlertsResponse& alerts) {
  const bool healthy =
      std::all_of(runs.runs().begin(), runs.runs().end(), IsHealthy);
  // Both are objects with at least one field: join them into one.
  std::string first = ToJson(runs, false);
  std::string second = ToJson(alerts, false);
  return absl::StrCat("{\"healthy\":", healthy ? "true" : "false", ",",
                      first.substr(1, first.size() - 2), ",",
                      second.substr(1, second.size() - 2), "}\n");
}

}  // namespace muster::cli
