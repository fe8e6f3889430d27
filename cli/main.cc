// muster: asks a running musterd, for people and scripts.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/compare.h"
#include "cli/explain.h"
#include "cli/export.h"
#include "cli/format.h"
#include "cli/options.h"
#include "cli/query_client.h"
#include "cli/reference.h"
#include "cli/replay.h"
#include "cli/report.h"
#include "cli/simulation.h"
#include "cli/simulation_history.h"
#include "cli/top.h"

namespace muster::cli {
namespace {

enum ExitCode { kFine = 0, kNotHealthy = 1, kWrongUsage = 2, kUnreachable = 3 };

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "muster: %s\n", std::string(status.message()).c_str());
  return absl::IsUnavailable(status) ? kUnreachable : kWrongUsage;
}

// A full disk or a closed pipe is not a fine answer.
int Print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) == 0) return kFine;
  std::perror("muster: cannot write");
  return kNotHealthy;
}

bool ColoursWanted() {
  const char* no_colour = std::getenv("NO_COLOR");
  return no_colour == nullptr || *no_colour == '\0';
}

Style TerminalStyle() {
  return {ColoursWanted() && ::isatty(STDOUT_FILENO) == 1, absl::Now()};
}

// The run that was named, or the only one there is.
absl::StatusOr<v1::Run> ChooseRun(const v1::ListRunsResponse& runs,
                                  const std::string& name) {
  std::vector<std::string> names;
  for (const v1::Run& run : runs.runs()) {
    if (run.run() == name) return run;
    names.push_back(run.run());
  }
  if (!name.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no run '", name, "'; musterd follows: ",
                     names.empty() ? "none" : absl::StrJoin(names, ", ")));
  }
  if (runs.runs_size() == 1) return runs.runs(0);
  if (names.empty()) return absl::NotFoundError("musterd follows no run");
  return absl::InvalidArgumentError(
      absl::StrCat("name one of the runs: ", absl::StrJoin(names, ", ")));
}

int Status(const Options& options, QueryClient& client) {
  auto runs = client.ListRuns();
  if (!runs.ok()) return Fail(runs.status());
  v1::ListAlertsRequest request;
  request.set_run(options.run);
  request.set_firing_only(options.json);
  if (!options.run.empty()) {
    const auto run = ChooseRun(*runs, options.run);
    if (!run.ok()) return Fail(run.status());
    runs->clear_runs();
    *runs->add_runs() = *run;
  }
  const auto alerts = client.ListAlerts(request);
  if (!alerts.ok()) return Fail(alerts.status());
  const int printed =
      Print(options.json ? FormatStatusJson(*runs, *alerts)
                         : FormatStatus(*runs, *alerts, TerminalStyle()));
  const bool healthy =
      std::all_of(runs->runs().begin(), runs->runs().end(), IsHealthy);
  return options.exit_code && !healthy ? kNotHealthy : printed;
}

int Runs(const Options& options, QueryClient& client) {
  auto runs = client.ListRuns();
  if (!runs.ok()) return Fail(runs.status());
  if (!options.run.empty()) {
    const auto run = ChooseRun(*runs, options.run);
    if (!run.ok()) return Fail(run.status());
    runs->clear_runs();
    *runs->add_runs() = *run;
  }
  return Print(options.json ? FormatJson(*runs)
                            : FormatRuns(*runs, TerminalStyle()));
}

int Ranks(const Options& options, QueryClient& client) {
  const auto runs = client.ListRuns();
  if (!runs.ok()) return Fail(runs.status());
  const auto run = ChooseRun(*runs, options.run);
  if (!run.ok()) return Fail(run.status());
  v1::ListRanksRequest request;
  request.set_run(run->run());
  const auto ranks = client.ListRanks(request);
  if (!ranks.ok()) return Fail(ranks.status());
  return Print(options.json ? FormatJson(*ranks)
                            : FormatRanks(*run, *ranks, TerminalStyle()));
}

int Steps(const Options& options, QueryClient& client) {
  const auto runs = client.ListRuns();
  if (!runs.ok()) return Fail(runs.status());
  const auto run = ChooseRun(*runs, options.run);
  if (!run.ok()) return Fail(run.status());
  v1::ListStepsRequest request;
  request.set_run(run->run());
  if (options.from) request.set_from(*options.from);
  if (options.to) request.set_to(*options.to);
  request.set_limit(options.limit);
  request.set_with_ranks(options.json);
  const auto steps = client.ListSteps(request);
  if (!steps.ok()) return Fail(steps.status());
  return Print(options.json ? FormatJson(*steps)
                            : FormatSteps(*run, *steps, TerminalStyle()));
}

int Explain(const Options& options, QueryClient& client) {
  v1::ListAlertsRequest request;
  request.set_run(options.run);
  const auto alerts = client.ListAlerts(request);
  if (!alerts.ok()) return Fail(alerts.status());
  const auto alert = ChooseAlert(*alerts, *options.explain);
  if (!alert.ok()) return Fail(alert.status());
  v1::ListRanksRequest ranks_request;
  ranks_request.set_run(alert->run());
  const auto ranks = client.ListRanks(ranks_request);
  if (!ranks.ok()) return Fail(ranks.status());
  const auto steps = client.ListSteps(StepsAround(*alert));
  if (!steps.ok()) return Fail(steps.status());
  return Print(options.json ? FormatExplanationJson(*alert, *steps, *ranks)
                            : FormatExplanation(*alert, *steps, *ranks,
                                                TerminalStyle()));
}

int Alerts(const Options& options, QueryClient& client) {
  if (options.explain) return Explain(options, client);
  v1::ListAlertsRequest request;
  request.set_run(options.run);
  request.set_firing_only(options.firing_only);
  const auto alerts = client.ListAlerts(request);
  if (!alerts.ok()) return Fail(alerts.status());
  return Print(options.json ? FormatJson(*alerts)
                            : FormatAlerts(*alerts, TerminalStyle()));
}

int Export(Options options, QueryClient& client) {
  const auto runs = client.ListRuns();
  if (!runs.ok()) return Fail(runs.status());
  const auto run = ChooseRun(*runs, options.run);
  if (!run.ok()) return Fail(run.status());
  options.run = run->run();
  const absl::Status status = ExportRun(options, client);
  // Whoever closed the pipe has had enough.
  if (absl::IsCancelled(status)) return kNotHealthy;
  if (absl::IsAborted(status)) {
    Fail(status);
    return kNotHealthy;
  }
  return status.ok() ? kFine : Fail(status);
}

int Report(Options options, QueryClient& client) {
  const auto runs = client.ListRuns();
  if (!runs.ok()) return Fail(runs.status());
  const auto run = ChooseRun(*runs, options.run);
  if (!run.ok()) return Fail(run.status());
  options.run = run->run();
  const auto written = WriteReport(options, *runs, client);
  if (written.ok()) return Print(*written);
  if (absl::IsCancelled(written.status())) return kNotHealthy;
  const int code = Fail(written.status());
  return absl::IsAborted(written.status()) ? kNotHealthy : code;
}

int ReplayRuns(const Options& options) {
  int printed = kFine;
  const absl::Status status = Replay(options, [&](const std::string& line) {
    if (printed == kFine) printed = Print(line);
  });
  if (status.ok()) return printed;
  Fail(status);
  return kWrongUsage;
}

int CompareRuns(const Options& options) {
  const auto comparison = CompareStored(options);
  if (!comparison.ok()) {
    Fail(comparison.status());
    return kWrongUsage;
  }
  const int printed = Print(FormatComparison(options, *comparison));
  return comparison->differs() ? kNotHealthy : printed;
}

int ReferenceSave(const Options& options) {
  const auto written = SaveReference(options);
  return written.ok() ? Print(*written) : Fail(written.status());
}

int Simulation(const Options& options) {
  const auto summary = options.history.empty()
                           ? Simulate(options.address, options.files,
                                      options.run, options.simulation)
                           : SimulateIntoHistory(options, absl::Now());
  if (!summary.ok()) return Fail(summary.status());
  return Print(FormatSimulation(*summary, options.json));
}

size_t TerminalWidth() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
  return 120;
}

int Top(const Options& options) {
  const TopOptions top{.address = options.address,
                       .files = options.files,
                       .run = options.run,
                       .interval = absl::Seconds(options.top.interval_seconds),
                       .sort = *ParseTopSort(options.top.sort),
                       .colour = ColoursWanted()};
  if (!options.top.once) {
    const absl::Status status = RunTop(top);
    return status.ok() ? kFine : Fail(status);
  }
  const auto text =
      TopOnce(top, options.top.width > 0 ? options.top.width : TerminalWidth());
  return text.ok() ? Print(*text) : Fail(text.status());
}

int Main(int argc, char** argv) {
  const auto options = ParseOptions(argc, argv, std::getenv);
  if (!options.ok()) return Fail(options.status());
  if (options->output) return Print(*options->output);
  if (options->verb == Verb::kReplay) return ReplayRuns(*options);
  if (options->verb == Verb::kCompare) return CompareRuns(*options);
  if (options->verb == Verb::kReferenceSave) return ReferenceSave(*options);
  if (options->verb == Verb::kSimulate) return Simulation(*options);
  if (options->verb == Verb::kTop) return Top(*options);
  QueryClient client(options->address, options->files);
  switch (options->verb) {
    case Verb::kStatus:
      return Status(*options, client);
    case Verb::kRuns:
      return Runs(*options, client);
    case Verb::kRanks:
      return Ranks(*options, client);
    case Verb::kSteps:
      return Steps(*options, client);
    case Verb::kAlerts:
      return Alerts(*options, client);
    case Verb::kExport:
      return Export(*options, client);
    case Verb::kReport:
      return Report(*options, client);
    case Verb::kReplay:
    case Verb::kCompare:
    case Verb::kReferenceSave:
    case Verb::kSimulate:
    case Verb::kTop:
      break;
  }
  return kWrongUsage;
}

}  // namespace
}  // namespace muster::cli

int main(int argc, char** argv) { return muster::cli::Main(argc, argv); }
