#include "cli/export.h"

#include <string>

#include "cli/export_format.h"
#include "cli/output_file.h"

namespace muster::cli {
namespace {

absl::Status ExportAlerts(const Options& options, QueryClient& client,
                          OutputFile& output) {
  v1::ListAlertsRequest request;
  request.set_run(options.run);
  const auto alerts = client.ListAlerts(request);
  if (!alerts.ok()) return alerts.status();
  for (const v1::Alert& alert : alerts->alerts()) {
    const bool before = options.from && alert.last_step() < *options.from;
    const bool after = options.to && alert.first_step() > *options.to;
    if (before || after) continue;
    absl::Status status =
        output.Write(ExportLine(options.export_format, alert));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ExportSteps(const Options& options, QueryClient& client,
                         OutputFile& output) {
  v1::ExportStepsRequest request;
  request.set_run(options.run);
  request.set_with_ranks(options.export_what == ExportWhat::kRanks);
  if (options.from) request.set_from(*options.from);
  if (options.to) request.set_to(*options.to);
  for (;;) {
    const auto page = client.ExportSteps(request);
    if (!page.ok()) return page.status();
    for (const v1::Step& step : page->steps()) {
      absl::Status status = output.Write(
          ExportLines(options.export_format, options.export_what, step));
      if (!status.ok()) return status;
    }
    if (page->done()) return absl::OkStatus();
    *request.mutable_place() = page->place();
  }
}

}  // namespace

absl::Status ExportRun(const Options& options, QueryClient& client) {
  OutputFile output(options.output_file);
  absl::Status status =
      output.Write(ExportHeader(options.export_format, options.export_what));
  if (status.ok()) {
    status = options.export_what == ExportWhat::kAlerts
                 ? ExportAlerts(options, client, output)
                 : ExportSteps(options, client, output);
  }
  return status.ok() ? output.Complete() : status;
}

}  // namespace muster::cli
