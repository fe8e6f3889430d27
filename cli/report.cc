#include "cli/report.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/compare.h"
#include "cli/format.h"
#include "cli/output_file.h"
#include "cli/report_page.h"
#include "daemon/page/page.h"

namespace muster::cli {
namespace {

// As many as the page draws: as much detail as it can be zoomed to.
constexpr uint32_t kPoints = 600;
constexpr uint32_t kColumns = 480;
// Ranks with a line of their own.
constexpr size_t kRanks = 8;
// Alerts whose first step has its matrix.
constexpr size_t kMatrices = 4;

// Those that alerts name come first, for they are what a report is about.
std::vector<uint32_t> ShownRanks(const v1::ListAlertsResponse& alerts,
                                 const v1::ListRanksResponse& ranks) {
  std::vector<uint32_t> shown;
  const auto add = [&](uint32_t rank) {
    const bool known =
        std::find(shown.begin(), shown.end(), rank) != shown.end();
    if (shown.size() < kRanks && !known) shown.push_back(rank);
  };
  for (const v1::Alert& alert : alerts.alerts()) {
    if (alert.ranks_size() == ranks.ranks_size()) continue;
    for (const uint32_t rank : alert.ranks()) add(rank);
  }
  for (const v1::Rank& rank : ranks.ranks()) add(rank.rank());
  return shown;
}

// Collects answers until one of them is an error that the page cannot show.
class Collector {
 public:
  void Add(std::string question, std::string json) {
    answers_.emplace_back(std::move(question), std::move(json));
  }
  template <typename Response>
  void Add(std::string question, const absl::StatusOr<Response>& response) {
    if (response.ok()) {
      Add(std::move(question), FormatCompactJson(*response));
    } else if (absl::IsNotFound(response.status())) {
      Add(std::move(question),
          ErrorJson(std::string(response.status().message())));
    } else if (status_.ok()) {
      status_ = response.status();
    }
  }

  const absl::Status& status() const { return status_; }
  const ReportAnswers& answers() const { return answers_; }

 private:
  ReportAnswers answers_;
  absl::Status status_;
};

void AskForPlots(const std::string& run, const std::vector<uint32_t>& ranks,
                 const v1::ListAlertsResponse& alerts, QueryClient& client,
                 Collector& collector) {
  const std::string path = absl::StrCat("/api/v1/runs/", run, "/");
  v1::GetSeriesRequest series;
  series.set_run(run);
  series.set_points(kPoints);
  series.mutable_ranks()->Add(ranks.begin(), ranks.end());
  collector.Add(absl::StrCat(path, "series?points=", kPoints,
                             "&rank=", absl::StrJoin(ranks, ",")),
                client.GetSeries(series));
  for (const char* metric : {"loss", "gradient_norm", "gradient_cosine"}) {
    v1::GetHeatmapRequest heatmap;
    heatmap.set_run(run);
    heatmap.set_metric(metric);
    heatmap.set_columns(kColumns);
    collector.Add(
        absl::StrCat(path, "heatmap?metric=", metric, "&columns=", kColumns),
        client.GetHeatmap(heatmap));
  }
  v1::GetMatrixRequest matrix;
  matrix.set_run(run);
  collector.Add(path + "matrix", client.GetMatrix(matrix));
  std::vector<uint64_t> steps;
  for (const v1::Alert& alert : alerts.alerts()) {
    const uint64_t step = alert.first_step();
    if (std::find(steps.begin(), steps.end(), step) != steps.end()) continue;
    if (steps.size() == kMatrices) break;
    steps.push_back(step);
    matrix.set_step(step);
    collector.Add(absl::StrCat(path, "matrix?step=", step),
                  client.GetMatrix(matrix));
  }
}

}  // namespace

absl::StatusOr<std::string> WriteReport(const Options& options,
                                        const v1::ListRunsResponse& runs,
                                        QueryClient& client) {
  const page::Page* page = page::Embedded();
  if (page == nullptr) {
    return absl::FailedPreconditionError(
        "this muster was built without the page (-DMUSTER_WEB=OFF), of which a "
        "report is made");
  }
  Collector collector;
  collector.Add("about", ReportAbout(options.run, absl::Now()));
  if (!options.reference.empty()) {
    const auto comparison = CompareStored(options);
    if (!comparison.ok()) {
      // Whatever kind it is, the daemon is not what failed.
      return absl::FailedPreconditionError(comparison.status().message());
    }
    collector.Add("comparison", ComparisonJson(options, *comparison));
  }
  v1::ListRunsResponse own;
  own.set_daemon_version(runs.daemon_version());
  for (const v1::Run& run : runs.runs()) {
    if (run.run() == options.run) *own.add_runs() = run;
  }
  collector.Add("/api/v1/runs", FormatCompactJson(own));
  v1::ListAlertsRequest alerts_request;
  alerts_request.set_run(options.run);
  const auto alerts = client.ListAlerts(alerts_request);
  if (!alerts.ok()) return alerts.status();
  collector.Add("/api/v1/alerts?run=" + options.run, alerts);
  v1::ListRanksRequest ranks_request;
  ranks_request.set_run(options.run);
  const auto ranks = client.ListRanks(ranks_request);
  if (!ranks.ok()) return ranks.status();
  collector.Add(absl::StrCat("/api/v1/runs/", options.run, "/ranks"), ranks);
  AskForPlots(options.run, ShownRanks(*alerts, *ranks), *alerts, client,
              collector);
  if (!collector.status().ok()) return collector.status();
  const auto html = ReportPage(page::Html(*page), std::string(page->policy),
                               collector.answers());
  if (!html.ok()) return html.status();

  const std::string path =
      options.output_file.empty() ? options.run + ".html" : options.output_file;
  OutputFile output(path == "-" ? "" : path);
  absl::Status status = output.Write(*html);
  if (status.ok()) status = output.Complete();
  if (!status.ok()) return status;
  return path == "-" ? "" : absl::StrCat(path, "\n");
}

}  // namespace muster::cli
