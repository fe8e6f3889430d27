#include "daemon/base/command_pages.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "daemon/base/command_completion.h"
#include "daemon/base/command_description.h"

namespace muster {
namespace {

// A leading dot or quote would be a request, and a plain hyphen a dash.
std::string Roff(const std::string& text) {
  std::string escaped = absl::StrReplaceAll(
      text, {{"\\", "\\e"}, {"-", "\\-"}, {"\n", "\n.br\n"}});
  if (!escaped.empty() && (escaped[0] == '.' || escaped[0] == '\'')) {
    escaped.insert(0, "\\&");
  }
  return escaped;
}
std::string RoffFlags(const Command& command) {
  std::string text;
  for (const Flag& flag : command.flags) {
    std::vector<std::string> names;
    for (const std::string& name : flag.names) {
      names.push_back(absl::StrCat("\\fB", Roff(name), "\\fR"));
    }
    absl::StrAppend(&text, ".TP\n", absl::StrJoin(names, ", "));
    if (!flag.value.empty()) {
      absl::StrAppend(&text, " \\fI", Roff(flag.value), "\\fR");
    }
    absl::StrAppend(&text, "\n", Roff(flag.help),
                    flag.required ? "; required\n" : "\n");
  }
  return text;
}
std::string ManualPage(const Command& top, const std::string& section,
                       const std::string& version) {
  // The first sentence, as NAME wants it.
  std::string summary = top.help.substr(0, top.help.find_first_of(".\n"));
  summary[0] = absl::ascii_tolower(static_cast<unsigned char>(summary[0]));
  const bool has_verbs = !top.commands.empty();
  std::string text = absl::StrCat(
      ".TH ", absl::AsciiStrToUpper(top.name), " ", section, " \"\" \"Muster ",
      version, "\" \"Muster\"\n.SH NAME\n", top.name, " \\- ", Roff(summary),
      "\n.SH SYNOPSIS\n.B ", top.name, "\n[\\fIoption\\fR ...]",
      has_verbs ? " \\fIverb\\fR ..." : "", "\n.SH DESCRIPTION\n",
      Roff(top.help), "\n.SH OPTIONS\n",
      has_verbs ? "They may stand behind the verb, too.\n" : "",
      RoffFlags(top));
  if (!has_verbs) return text;
  absl::StrAppend(&text, ".SH VERBS\n");
  for (const Command* command : Flatten(top)) {
    // A verb that only has verbs of its own is named by those.
    if (command == &top || !command->commands.empty()) continue;
    absl::StrAppend(&text, ".SS ", Roff(command->path), "\n",
                    Roff(command->help), ".\n", RoffFlags(*command));
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> CommandPage(const CLI::App& app,
                                        const std::string& form,
                                        const std::string& version) {
  const Command top = DescribeCommand(app);
  if (form == "bash") return BashPage(top);
  if (form == "zsh") return ZshPage(top);
  if (form == "fish") return FishPage(top);
  if (form == "man1" || form == "man8") {
    return ManualPage(top, form.substr(3), version);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--pages is '", form, "'; allowed: bash, zsh, fish, man1 or man8"));
}

}  // namespace muster
