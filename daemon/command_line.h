// What `musterd` was asked to do: flags beat environment variables, which beat
// the YAML file, which beats the defaults.
#ifndef MUSTER_DAEMON_COMMAND_LINE_H_
#define MUSTER_DAEMON_COMMAND_LINE_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/config.h"

namespace muster {

struct ParsedCommandLine {
  Config config;
  // Set for --help, --version, --print-config and --check-config: print this
  // to standard output and exit with 0.
  std::optional<std::string> output;
};

// Value of an environment variable; null if it is not set.
using EnvironmentLookup = std::function<const char*(const char* name)>;

// Parses flags, environment and the file that --config names. An error is one
// line for standard error. Calling it again reads the file again, which is how
// a reload works.
absl::StatusOr<ParsedCommandLine> ParseCommandLine(
    int argc, const char* const* argv, const EnvironmentLookup& environment);

// "0.1.0"
const char* DaemonVersion();

}  // namespace muster

#endif  // MUSTER_DAEMON_COMMAND_LINE_H_
