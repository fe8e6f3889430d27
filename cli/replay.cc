#include "cli/replay.h"

#include "absl/strings/str_cat.h"
#include "daemon/config.h"
#include "daemon/history/reader.h"
#include "daemon/reference_file.h"
#include "daemon/runs/replay.h"

namespace muster::cli {

absl::Status Replay(const Options& options,
                    const std::function<void(const std::string& line)>& print) {
  Config given;
  if (!options.config.empty()) {
    absl::Status status = ApplyYamlFile(options.config, given);
    if (!status.ok()) return status;
  }
  const auto options_of =
      [&](const std::string& stored) -> absl::StatusOr<runs::JudgeOptions> {
    Config config = given;
    if (options.config.empty()) {
      absl::Status status =
          ApplyYaml(stored, "the stored configuration", config);
      if (!status.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat(status.message(), "; give one with --config"));
      }
    }
    absl::Status loaded = LoadReference(config);
    if (!loaded.ok()) return loaded;
    return runs::JudgeOptions{config.detect, config.alerts};
  };
  const auto reader = history::Reader::Open(options.history);
  if (!reader.ok()) return reader.status();
  const auto stored = (*reader)->Runs();
  if (!stored.ok()) return stored.status();
  bool found = options.run.empty();
  for (const history::StoredRun& run : *stored) {
    if (!options.run.empty() && run.name != options.run) continue;
    found = true;
    absl::Status status =
        runs::Replay(**reader, run, options_of, [&](const alert::Alert& alert) {
          print(runs::ReplayLine(run.name, alert) + "\n");
          return absl::OkStatus();
        });
    if (!status.ok()) return status;
  }
  if (found) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat(options.history, ": no run '", options.run, "'"));
}

}  // namespace muster::cli
