// A program's flags and verbs as data, for its manual page and its completion.
#ifndef MUSTER_DAEMON_BASE_COMMAND_DESCRIPTION_H_
#define MUSTER_DAEMON_BASE_COMMAND_DESCRIPTION_H_

#include <string>
#include <vector>

namespace CLI {
class App;
}  // namespace CLI

namespace muster {

// A flag as it is typed, without what only the parser needs.
struct Flag {
  std::vector<std::string> names;  // "-o", "--output"
  std::string value;               // "FILE"; empty: takes none
  std::vector<std::string> words;  // values that it takes, where few
  std::string help;
  bool positional = false;
  bool required = false;
  bool is_file = false;
};

struct Command {
  std::string path;  // "muster reference save"
  std::string name;  // "save"
  std::string help;
  std::vector<Flag> flags;
  std::vector<Command> commands;
};

// What --help shows of `app`; what is hidden there is left out here.
Command DescribeCommand(const CLI::App& app);

// The command itself and all below it, parents first. Borrows from `command`.
std::vector<const Command*> Flatten(const Command& command);

}  // namespace muster

#endif  // MUSTER_DAEMON_BASE_COMMAND_DESCRIPTION_H_
