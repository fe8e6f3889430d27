// `muster reference save`: makes a stored run one that others are held against.
#ifndef MUSTER_CLI_REFERENCE_H_
#define MUSTER_CLI_REFERENCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/options.h"

namespace muster::cli {

// Writes the file that a daemon's `detect.reference` names; the newest run of
// that name, of each step the latest attempt. One line about what was written.
// An error is one line that names the file: of the history, that the run is not
// there or has nothing to compare with, or that the file cannot be written.
absl::StatusOr<std::string> SaveReference(const Options& options);

}  // namespace muster::cli

#endif  // MUSTER_CLI_REFERENCE_H_
