#include <string>

#include "absl/strings/str_cat.h"
#include "daemon/alert/alert.h"
#include "daemon/alert/json.h"

namespace muster::alert {
namespace {

constexpr size_t kFurtherListed = 4;

// What stands beside the leading piece of evidence.
std::string FurtherSentences(const Alert& alert) {
  std::string out;
  size_t listed = 0;
  for (const Evidence& piece : alert.evidence) {
    if (!piece.standing || piece.subject == alert.finding.subject) continue;
    if (listed++ == kFurtherListed) break;
    absl::StrAppend(&out, out.empty() ? "" : ",", JsonText(piece.sentence));
  }
  return absl::StrCat("[", out, "]");
}

}  // namespace

std::string LogLine(const std::string& run, const Alert& alert) {
  const detect::Finding& finding = alert.finding;
  return absl::StrCat(
      "{\"run\":", JsonText(run), ",\"id\":", alert.id, ",\"kind\":\"",
      detect::KindName(finding.kind), "\",\"severity\":\"",
      detect::SeverityName(alert.severity), "\",\"state\":\"",
      StateName(alert.state), "\",\"subject\":", JsonText(finding.subject),
      ",\"ranks\":", JsonRanks(finding.ranks),
      ",\"rank_count\":", finding.ranks.size(),
      ",\"attempt\":", finding.attempt, ",\"first_step\":", finding.first_step,
      ",\"last_step\":", finding.last_step,
      ",\"value\":", JsonNumber(finding.value),
      ",\"expected\":", JsonNumber(finding.expected),
      ",\"silent\":", alert.silent ? "true" : "false",
      ",\"evidence\":", JsonText(finding.evidence),
      ",\"further\":", FurtherSentences(alert),
      ",\"explained_by\":", alert.explained_by, "}");
}

}  // namespace muster::alert
