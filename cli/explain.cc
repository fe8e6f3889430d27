#include "cli/explain.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/table.h"

namespace muster::cli {
namespace {

constexpr uint64_t kStepsBefore = 4;
constexpr uint64_t kStepsAfter = 8;
// Named ranks that get a column or a row of their own.
constexpr int kRanksShown = 8;
constexpr size_t kLineWidth = 78;

std::optional<double> ValueOf(const std::string& subject,
                              const v1::RankValues& rank) {
  if (subject == "loss") {
    return rank.has_loss() ? std::optional(rank.loss()) : std::nullopt;
  }
  if (subject == "gradient_norm" || subject == "gradient") {
    return rank.has_gradient_norm() ? std::optional(rank.gradient_norm())
                                    : std::nullopt;
  }
  if (subject == "direction") {
    return rank.has_gradient_cosine() ? std::optional(rank.gradient_cosine())
                                      : std::nullopt;
  }
  if (subject == "step_time") {
    if (rank.has_compute_seconds()) return rank.compute_seconds();
    return rank.has_step_duration_seconds()
               ? std::optional(rank.step_duration_seconds())
               : std::nullopt;
  }
  return std::nullopt;
}

const char* TitleOf(const std::string& subject) {
  if (subject == "loss") return "Loss";
  if (subject == "direction") return "Cosine of the gradient to the others'";
  if (subject == "step_time") return "Step time, seconds";
  return "Gradient norm";
}

std::optional<double> Median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  if (values.size() % 2 == 1) return values[half];
  return (values[half - 1] + values[half]) / 2;
}

// The subjects whose values ranks report, each once.
std::vector<std::string> MetricsOf(const v1::Alert& alert) {
  std::vector<std::string> metrics;
  const auto add = [&](const std::string& subject) {
    for (const char* known :
         {"loss", "gradient_norm", "gradient", "direction", "step_time"}) {
      if (subject == known &&
          std::find(metrics.begin(), metrics.end(), subject) == metrics.end()) {
        metrics.push_back(subject);
      }
    }
  };
  for (const v1::AlertEvidence& piece : alert.pieces()) add(piece.subject());
  return metrics;
}

std::string EvidenceTable(const v1::Alert& alert) {
  Table table;
  table.AddColumn("SUBJECT", Align::kLeft);
  table.AddColumn("STEPS", Align::kLeft);
  table.AddColumn("VALUE", Align::kRight);
  table.AddColumn("EXPECTED", Align::kRight);
  table.AddColumn("EVIDENCE", Align::kLeft);
  for (const v1::AlertEvidence& piece : alert.pieces()) {
    table.AddRow(
        {piece.subject(),
         absl::StrCat(piece.first_step(), "-", piece.last_step()),
         Number(piece.value()), Number(piece.expected()),
         absl::StrCat(piece.standing() ? "" : "(gone) ", piece.sentence())});
  }
  return table.ToString();
}

std::string ProcessTable(const std::set<uint32_t>& named,
                         const v1::ListRanksResponse& ranks) {
  Table table;
  table.AddColumn("RANK", Align::kRight);
  table.AddColumn("HOST", Align::kLeft);
  table.AddColumn("PID", Align::kRight);
  table.AddColumn("STATE", Align::kLeft);
  table.AddColumn("STEP", Align::kRight);
  table.AddColumn("LAG", Align::kRight);
  int shown = 0;
  for (const v1::Rank& rank : ranks.ranks()) {
    if (named.count(rank.rank()) == 0 || shown++ >= kRanksShown) continue;
    const char* state = rank.departed()    ? "left"
                        : rank.connected() ? "connected"
                                           : "lost";
    table.AddRow({absl::StrCat(rank.rank()), rank.host(),
                  absl::StrCat(rank.pid()), state,
                  rank.has_last_step() ? absl::StrCat(rank.last_step()) : "-",
                  absl::StrCat(rank.lag_steps())});
  }
  return table.ToString();
}

std::string ValueTable(const std::string& metric, const v1::Alert& alert,
                       const std::set<uint32_t>& named,
                       const v1::ListStepsResponse& steps) {
  std::vector<uint32_t> columns;
  for (const uint32_t rank : named) {
    if (columns.size() < kRanksShown) columns.push_back(rank);
  }
  Table table;
  table.AddColumn("STEP", Align::kRight);
  for (const uint32_t rank : columns) {
    table.AddColumn(absl::StrCat("RANK ", rank), Align::kRight);
  }
  table.AddColumn("OTHERS: LOWEST", Align::kRight);
  table.AddColumn("MEDIAN", Align::kRight);
  table.AddColumn("HIGHEST", Align::kRight);
  table.AddColumn("", Align::kLeft);
  for (const v1::Step& step : steps.steps()) {
    std::vector<std::string> row = {absl::StrCat(step.step())};
    row.resize(1 + columns.size(), "-");
    std::vector<double> others;
    for (const v1::RankValues& rank : step.ranks()) {
      const std::optional<double> value = ValueOf(metric, rank);
      if (named.count(rank.rank()) == 0) {
        if (value) others.push_back(*value);
        continue;
      }
      const auto column =
          std::find(columns.begin(), columns.end(), rank.rank());
      if (column != columns.end()) {
        row[1 + (column - columns.begin())] = Number(value);
      }
    }
    const auto [low, high] = std::minmax_element(others.begin(), others.end());
    const bool any = !others.empty();
    row.push_back(Number(any ? std::optional(*low) : std::nullopt));
    row.push_back(Number(Median(others)));
    row.push_back(Number(any ? std::optional(*high) : std::nullopt));
    row.push_back(step.step() == alert.first_step() ? "<- first" : "");
    table.AddRow(std::move(row));
  }
  return table.ToString();
}

std::string Wrap(const std::string& text) {
  std::string out;
  size_t line = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (line > 0 && line + 1 + word.size() > kLineWidth) {
      out += '\n';
      line = 0;
    } else if (line > 0) {
      out += ' ';
      ++line;
    }
    absl::StrAppend(&out, word);
    line += word.size();
  }
  return out;
}

}  // namespace

absl::StatusOr<v1::Alert> ChooseAlert(const v1::ListAlertsResponse& alerts,
                                      uint64_t id) {
  const v1::Alert* found = nullptr;
  for (const v1::Alert& alert : alerts.alerts()) {
    if (alert.id() != id) continue;
    if (found != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("several runs have an alert ", id,
                       "; name the run: muster alerts RUN --explain ", id));
    }
    found = &alert;
  }
  if (found == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "no alert ", id, "; muster alerts lists those that are known"));
  }
  return *found;
}

v1::ListStepsRequest StepsAround(const v1::Alert& alert) {
  v1::ListStepsRequest request;
  request.set_run(alert.run());
  request.set_from(alert.first_step() -
                   std::min(alert.first_step(), kStepsBefore));
  request.set_to(alert.first_step() + kStepsAfter);
  request.set_limit(kStepsBefore + kStepsAfter + 1);
  request.set_with_ranks(true);
  return request;
}

std::string FormatExplanation(const v1::Alert& alert,
                              const v1::ListStepsResponse& steps,
                              const v1::ListRanksResponse& ranks,
                              const Style& style) {
  const std::set<uint32_t> named(alert.ranks().begin(), alert.ranks().end());
  std::string out = absl::StrCat(AlertVerdict(alert, style), "\n");
  absl::StrAppend(&out, "\n", EvidenceTable(alert));
  if (alert.pieces_omitted() > 0) {
    absl::StrAppend(&out, "and evidence of other subjects, told ",
                    alert.pieces_omitted(), " times\n");
  }
  const std::string processes = ProcessTable(named, ranks);
  if (!processes.empty()) absl::StrAppend(&out, "\n", processes);
  for (const std::string& metric : MetricsOf(alert)) {
    const std::string values = ValueTable(metric, alert, named, steps);
    absl::StrAppend(&out, "\n", TitleOf(metric), " around step ",
                    alert.first_step(),
                    values.empty() ? ": no longer in memory\n" : "\n", values);
  }
  if (!alert.first_check().empty()) {
    absl::StrAppend(&out, "\nLook at first\n", Wrap(alert.first_check()), "\n");
  }
  return out;
}

std::string FormatExplanationJson(const v1::Alert& alert,
                                  const v1::ListStepsResponse& steps,
                                  const v1::ListRanksResponse& ranks) {
  // The lists are objects with one field each: join them into one.
  const std::string first = FormatJson(steps);
  const std::string second = FormatJson(ranks);
  const auto inner = [](const std::string& json) {
    return json.substr(json.find('{') + 1,
                       json.rfind('}') - json.find('{') - 1);
  };
  return absl::StrCat("{\"alert\":", FormatJson(alert), ",", inner(first), ",",
                      inner(second), "}\n");
}

}  // namespace muster::cli
