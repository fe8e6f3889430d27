// Shell completion of a program.
#ifndef MUSTER_DAEMON_BASE_COMMAND_COMPLETION_H_
#define MUSTER_DAEMON_BASE_COMMAND_COMPLETION_H_

#include <string>

#include "daemon/base/command_description.h"

namespace muster {

// A script that the shell sources: verbs, flags, files, and the values of flags
// that take one of a few. Run ids are not completed: the daemon may be far
// away.
std::string BashPage(const Command& top);
std::string ZshPage(const Command& top);
std::string FishPage(const Command& top);

}  // namespace muster

#endif  // MUSTER_DAEMON_BASE_COMMAND_COMPLETION_H_
