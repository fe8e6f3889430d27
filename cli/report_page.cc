#include "cli/report_page.h"

#include <google/protobuf/struct.pb.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/format.h"

namespace muster::cli {
namespace {

std::string Quoted(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  return FormatCompactJson(value);
}

// Behind the first `mark`.
absl::Status Insert(const std::string& mark, const std::string& text,
                    std::string& html) {
  const size_t place = html.find(mark);
  if (place == std::string::npos) {
    return absl::InternalError(
        absl::StrCat("the page that was built in has no ", mark));
  }
  html.insert(place + mark.size(), text);
  return absl::OkStatus();
}

}  // namespace

std::string ReportAbout(const std::string& run, absl::Time made) {
  google::protobuf::Struct about;
  auto& fields = *about.mutable_fields();
  fields["run"].set_string_value(run);
  fields["madeUnixNanos"].set_string_value(
      absl::StrCat(absl::ToUnixNanos(made)));
  fields["version"].set_string_value(MUSTER_VERSION);
  return FormatCompactJson(about);
}

std::string ErrorJson(const std::string& message) {
  google::protobuf::Struct error;
  (*error.mutable_fields())["error"].set_string_value(message);
  return FormatCompactJson(error);
}

std::string ReportData(const ReportAnswers& answers) {
  std::vector<std::string> members;
  members.reserve(answers.size());
  for (const auto& [question, answer] : answers) {
    members.push_back(absl::StrCat(Quoted(question), ":",
                                   absl::StripTrailingAsciiWhitespace(answer)));
  }
  // In JSON, "<" stands in strings only. Without it there is neither "</script"
  // nor "<!--".
  return absl::StrReplaceAll(
      absl::StrCat("{", absl::StrJoin(members, ",\n"), "}"),
      {{"<", "\\u003c"}});
}

std::string ReportPolicy(const std::string& policy) {
  std::vector<std::string> kept;
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(policy, ';'))) {
    const std::string rule(absl::StripAsciiWhitespace(part));
    const std::string name = rule.substr(0, rule.find(' '));
    if (name.empty() || name == "frame-ancestors") continue;
    kept.push_back(name == "connect-src" ? "connect-src 'none'"
                   : name == "img-src"   ? "img-src data:"
                                         : rule);
  }
  return absl::StrJoin(kept, "; ");
}

absl::StatusOr<std::string> ReportPage(std::string html,
                                       const std::string& policy,
                                       const ReportAnswers& answers) {
  // The policy holds for what stands behind it.
  absl::Status status =
      Insert("<meta charset=\"utf-8\">",
             absl::StrCat("\n<meta http-equiv=\"Content-Security-Policy\" "
                          "content=\"",
                          ReportPolicy(policy), "\">"),
             html);
  if (!status.ok()) return status;
  status = Insert("<body>",
                  absl::StrCat("\n<script type=\"application/json\" "
                               "id=\"muster-data\">",
                               ReportData(answers), "</script>"),
                  html);
  if (!status.ok()) return status;
  return html;
}

}  // namespace muster::cli
