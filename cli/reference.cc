#include "cli/reference.h"

#include <cstdio>
#include <fstream>
#include <map>

#include "absl/strings/str_cat.h"
#include "cli/run_series.h"
#include "daemon/reference_file.h"

namespace muster::cli {

absl::StatusOr<std::string> SaveReference(const Options& options) {
  std::map<uint64_t, uint32_t> attempts;
  std::map<uint64_t, detect::GroupValues> steps;
  absl::Status status = ReadMeasures(
      options.history, options.run, [&](const consistency::Measures& measures) {
        uint32_t& attempt = attempts[measures.step];
        if (measures.attempt < attempt) return;
        attempt = measures.attempt;
        steps[measures.step] = detect::GroupValuesOf(measures);
      });
  if (!status.ok()) return status;
  std::erase_if(steps, [](const auto& step) {
    for (const auto& value : step.second.values) {
      if (value) return false;
    }
    return true;
  });
  if (steps.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.history, ": run '", options.run,
                     "' has no step on which ranks can be compared"));
  }
  // Renamed into place: a daemon never reads half a file.
  const std::string draft = options.output_file + ".new";
  std::ofstream file(draft);
  file << ReferenceText(steps);
  file.close();
  if (!file || std::rename(draft.c_str(), options.output_file.c_str()) != 0) {
    return absl::UnknownError(
        absl::StrCat("cannot write ", options.output_file));
  }
  return absl::StrCat(options.output_file, ": ", steps.size(), " steps, ",
                      steps.begin()->first, " … ", steps.rbegin()->first, "\n");
}

}  // namespace muster::cli
