#include "daemon/base/command_description.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace muster {
namespace {

Flag Describe(const CLI::Option& option) {
  Flag flag;
  flag.positional = option.get_positional();
  flag.required = option.get_required();
  flag.help = absl::StrReplaceAll(option.get_description(), {{"\n", " "}});
  if (flag.positional) {
    flag.names = {option.get_name(true, false)};
    return flag;
  }
  for (const std::string& name : option.get_snames()) {
    flag.names.push_back(absl::StrCat("-", name));
  }
  for (const std::string& name : option.get_lnames()) {
    flag.names.push_back(absl::StrCat("--", name));
  }
  if (option.get_type_size_max() == 0) return flag;
  // "TEXT:{gaussian,student-t3}", "COUNT:UINT in [1 - 4096]", "HOST:PORT"
  const std::string type = option.get_type_name();
  flag.value = type == "HOST:PORT" ? type : type.substr(0, type.find(':'));
  const size_t open = type.find('{');
  if (open != std::string::npos && type.back() == '}') {
    flag.words =
        absl::StrSplit(type.substr(open + 1, type.size() - open - 2), ',');
    flag.value = absl::StrJoin(flag.words, "|");
  }
  flag.is_file = flag.value == "FILE" || flag.value == "DIR";
  const size_t range = type.find(" in [");
  if (range != std::string::npos) {
    absl::StrAppend(&flag.help, ", ",
                    type.substr(range + 5, type.size() - range - 6));
  }
  if (!option.get_default_str().empty()) {
    absl::StrAppend(&flag.help, " (", option.get_default_str(), ")");
  }
  return flag;
}

Command Describe(const CLI::App& app, const std::string& parent) {
  Command command;
  command.name = app.get_name();
  command.path =
      parent.empty() ? command.name : absl::StrCat(parent, " ", command.name);
  command.help = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    // Without a group it is hidden from --help, too.
    if (!option->get_group().empty())
      command.flags.push_back(Describe(*option));
  }
  for (const CLI::App* below :
       app.get_subcommands([](const CLI::App*) { return true; })) {
    command.commands.push_back(Describe(*below, command.path));
  }
  return command;
}

// The command itself and all below it.
void Flatten(const Command& command, std::vector<const Command*>& all) {
  all.push_back(&command);
  for (const Command& below : command.commands) Flatten(below, all);
}
}  // namespace

Command DescribeCommand(const CLI::App& app) { return Describe(app, ""); }

std::vector<const Command*> Flatten(const Command& command) {
  std::vector<const Command*> all;
  Flatten(command, all);
  return all;
}

}  // namespace muster
