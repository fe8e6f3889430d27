#include "daemon/base/command_completion.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace muster {
namespace {

// Text in single quotes of a shell.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

}  // namespace

std::string BashPage(const Command& top) {
  std::vector<std::string> below, taking_value, values, offers;
  for (const Command* command : Flatten(top)) {
    std::vector<std::string> offer;
    for (const Command& sub : command->commands) {
      below.push_back(Quoted(sub.path));
      offer.push_back(sub.name);
    }
    for (const Flag& flag : command->flags) {
      if (flag.positional) continue;
      for (const std::string& name : flag.names) {
        offer.push_back(name);
        if (flag.value.empty()) continue;
        taking_value.push_back(Quoted(name));
        if (flag.is_file) {
          values.push_back(
              absl::StrCat("    ", Quoted(name), ") compopt -o default ;;\n"));
        } else if (!flag.words.empty()) {
          values.push_back(absl::StrCat(
              "    ", Quoted(name), ") COMPREPLY=($(compgen -W ",
              Quoted(absl::StrJoin(flag.words, " ")), " -- \"$word\")) ;;\n"));
        }
      }
    }
    // Flags of the program stand behind a verb too.
    if (command != &top) {
      for (const Flag& flag : top.flags) {
        // Each verb has its own --help.
        if (flag.names.back() == "--help") continue;
        for (const std::string& name : flag.names) offer.push_back(name);
      }
    }
    offers.push_back(absl::StrCat("    ", Quoted(command->path), ") offer=",
                                  Quoted(absl::StrJoin(offer, " ")), " ;;\n"));
  }
  // `case` takes the first of equal patterns, so that repetition does no harm.
  const std::string commands =
      below.empty() ? ""
                    : absl::StrCat("      ", absl::StrJoin(below, "|"),
                                   ") path=\"$path $word\" ;;\n");
  return absl::StrCat(
      "# Completion of ", top.name, " for bash.\n_", top.name,
      "() {\n"
      "  local word path=",
      top.name,
      " taker= offer= i\n"
      "  COMPREPLY=()\n"
      "  # Which verb is meant, and whether a flag waits for its value.\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=${COMP_WORDS[i]}\n"
      "    # Bash splits --flag=value at the sign.\n"
      "    if [[ $word == = ]]; then taker=${COMP_WORDS[i - 1]}; continue; fi\n"
      "    if [[ $taker ]]; then taker=; continue; fi\n"
      "    case $word in\n"
      "      ",
      absl::StrJoin(taking_value, "|"),
      ") taker=$word; continue ;;\n"
      "    esac\n"
      "    case \"$path $word\" in\n",
      commands,
      "      *) ;;\n"
      "    esac\n"
      "  done\n"
      "  word=${COMP_WORDS[COMP_CWORD]}\n"
      "  if [[ $word == = ]]; then taker=${COMP_WORDS[COMP_CWORD - 1]}; word=; "
      "fi\n"
      "  case $taker in\n"
      "    '') ;;\n",
      absl::StrJoin(values, ""),
      "  esac\n"
      "  if [[ $taker ]]; then return; fi\n"
      "  case $path in\n",
      absl::StrJoin(offers, ""),
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$offer\" -- \"$word\"))\n"
      "}\ncomplete -F _",
      top.name, " ", top.name, "\n");
}

namespace {

// In a specification of _arguments brackets and colons have a meaning.
std::string ZshText(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"\\", "\\\\"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
}
std::string ZshFlag(const Flag& flag) {
  const std::string value =
      flag.value.empty()
          ? ""
          : absl::StrCat(
                ":", ZshText(flag.value), ":",
                flag.is_file ? "_files"
                : flag.words.empty()
                    ? ""
                    : absl::StrCat("(", absl::StrJoin(flag.words, " "), ")"));
  std::string text;
  for (const std::string& name : flag.names) {
    absl::StrAppend(
        &text, "    ",
        Quoted(absl::StrCat("*", name,
                            // --flag VALUE and --flag=VALUE
                            !value.empty() && name[1] == '-' ? "=" : "", "[",
                            ZshText(flag.help), "]", value)),
        " \\\n");
  }
  return text;
}
std::string ZshFunction(const Command& command, const Command& top) {
  const std::string name =
      absl::StrCat("_", absl::StrReplaceAll(command.path, {{" ", "_"}}));
  std::string text = absl::StrCat(
      name, "() {\n  local line state\n  local -a verbs\n  _arguments -C \\\n");
  for (const Flag& flag : command.flags) {
    if (!flag.positional) absl::StrAppend(&text, ZshFlag(flag));
  }
  for (const Flag& flag : top.flags) {
    if (&command != &top && flag.names.back() != "--help") {
      absl::StrAppend(&text, ZshFlag(flag));
    }
  }
  if (command.commands.empty()) {
    return absl::StrCat(text, "    '*:argument:'\n}\n");
  }
  absl::StrAppend(&text, "    '1:verb:->verb' '*::argument:->rest'\n",
                  "  case $state in\n    verb)\n      verbs=(\n");
  for (const Command& below : command.commands) {
    absl::StrAppend(&text, "        ",
                    Quoted(absl::StrCat(below.name, ":", ZshText(below.help))),
                    "\n");
  }
  absl::StrAppend(&text, "      )\n      _describe verb verbs ;;\n",
                  "    rest)\n      case $line[1] in\n");
  for (const Command& below : command.commands) {
    absl::StrAppend(&text, "        ", below.name, ") ", name, "_", below.name,
                    " ;;\n");
  }
  return absl::StrCat(text, "      esac ;;\n  esac\n}\n");
}
}  // namespace

std::string ZshPage(const Command& top) {
  std::string text = absl::StrCat("#compdef ", top.name, "\n# Completion of ",
                                  top.name, " for zsh.\n");
  for (const Command* command : Flatten(top)) {
    absl::StrAppend(&text, ZshFunction(*command, top));
  }
  return absl::StrCat(text, "_", top.name, " \"$@\"\n");
}

std::string FishPage(const Command& top) {
  std::string text =
      absl::StrCat("# Completion of ", top.name, " for fish.\ncomplete -c ",
                   top.name, " -f\n");
  for (const Command* command : Flatten(top)) {
    const std::vector<std::string> path = absl::StrSplit(command->path, ' ');
    std::vector<std::string> below;
    for (const Command& sub : command->commands) below.push_back(sub.name);
    std::vector<std::string> when;
    for (size_t i = 1; i < path.size(); ++i) {
      when.push_back(absl::StrCat("__fish_seen_subcommand_from ", path[i]));
    }
    const auto condition = [&](const std::vector<std::string>& all) {
      return all.empty()
                 ? ""
                 : absl::StrCat(" -n ", Quoted(absl::StrJoin(all, "; and ")));
    };
    for (const Flag& flag : command->flags) {
      if (flag.positional) continue;
      absl::StrAppend(&text, "complete -c ", top.name, condition(when));
      for (const std::string& name : flag.names) {
        absl::StrAppend(&text, name[1] == '-' ? " -l " : " -s ",
                        absl::StripPrefix(absl::StripPrefix(name, "-"), "-"));
      }
      if (!flag.value.empty()) {
        absl::StrAppend(&text, flag.is_file ? " -r -F" : " -x");
        if (!flag.words.empty()) {
          absl::StrAppend(&text, " -a ",
                          Quoted(absl::StrJoin(flag.words, " ")));
        }
      }
      absl::StrAppend(&text, " -d ", Quoted(flag.help), "\n");
    }
    when.push_back(absl::StrCat("not __fish_seen_subcommand_from ",
                                absl::StrJoin(below, " ")));
    for (const Command& sub : command->commands) {
      absl::StrAppend(&text, "complete -c ", top.name, condition(when), " -a ",
                      sub.name, " -d ", Quoted(sub.help), "\n");
    }
  }
  return text;
}

}  // namespace muster
