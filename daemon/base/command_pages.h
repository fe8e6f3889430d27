// Manual page and shell completion of a program, from its own table of flags.
#ifndef MUSTER_DAEMON_BASE_COMMAND_PAGES_H_
#define MUSTER_DAEMON_BASE_COMMAND_PAGES_H_

#include <string>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}  // namespace CLI

namespace muster {

// form: bash, zsh or fish gives a completion script; man1 or man8 a manual page
// of that section, in man(7), whose last sections are still to be added.
// version: "0.1.0". Another form is kInvalidArgument.
absl::StatusOr<std::string> CommandPage(const CLI::App& app,
                                        const std::string& form,
                                        const std::string& version);

}  // namespace muster

#endif  // MUSTER_DAEMON_BASE_COMMAND_PAGES_H_
