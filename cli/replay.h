// `muster replay`: judges stored runs again, without a daemon.
#ifndef MUSTER_CLI_REPLAY_H_
#define MUSTER_CLI_REPLAY_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "cli/options.h"

namespace muster::cli {

// Calls `print` with each line, a change of an alert as JSON. Errors are one
// line: of the history, of a configuration, or that no run has the id.
absl::Status Replay(const Options& options,
                    const std::function<void(const std::string& line)>& print);

}  // namespace muster::cli

#endif  // MUSTER_CLI_REPLAY_H_
