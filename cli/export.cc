#include "cli/export.h"

#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/export_format.h"

namespace muster::cli {
namespace {

// Stdout, or a file of its own.
class Output {
 public:
  explicit Output(const std::string& path)
      : path_(path),
        file_(path.empty() ? stdout : std::fopen(path.c_str(), "w")) {}
  ~Output() {
    if (path_.empty() || file_ == nullptr) return;
    struct stat file = {};
    const bool is_file =
        ::fstat(::fileno(file_), &file) == 0 && S_ISREG(file.st_mode);
    std::fclose(file_);
    // Half an export looks like a whole one. /dev/stdout is not ours to remove.
    if (!complete_ && is_file) std::remove(path_.c_str());
  }

  absl::Status Write(const std::string& text) {
    if (file_ == nullptr) return Failed();
    if (std::fwrite(text.data(), 1, text.size(), file_) == text.size()) {
      return absl::OkStatus();
    }
    return Failed();
  }
  absl::Status Complete() {
    if (std::fflush(file_) != 0) return Failed();
    complete_ = true;
    return absl::OkStatus();
  }

 private:
  absl::Status Failed() const {
    if (errno == EPIPE && path_.empty()) return absl::CancelledError();
    return absl::AbortedError(absl::StrCat("cannot write ",
                                           path_.empty() ? "to stdout" : path_,
                                           ": ", std::strerror(errno)));
  }

  const std::string path_;
  std::FILE* const file_;
  bool complete_ = false;
};

absl::Status ExportAlerts(const Options& options, QueryClient& client,
                          Output& output) {
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
                         Output& output) {
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
  // A closed pipe is an error of write(), not the end of this process.
  std::signal(SIGPIPE, SIG_IGN);
  Output output(options.output_file);
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
