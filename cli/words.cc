#include "cli/words.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace muster::cli {

std::string Count(uint64_t count, const std::string& noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

// "0s", "12s", "3m12s", "5h3m": two units at most.
std::string Age(int64_t unix_nanos, absl::Time now) {
  const absl::Duration age =
      std::max(absl::ZeroDuration(), now - absl::FromUnixNanos(unix_nanos));
  const int64_t seconds = absl::ToInt64Seconds(age);
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) {
    return absl::StrCat(seconds / 60, "m", seconds % 60, "s");
  }
  if (seconds < 86400) {
    return absl::StrCat(seconds / 3600, "h", seconds / 60 % 60, "m");
  }
  return absl::StrCat(seconds / 86400, "d", seconds / 3600 % 24, "h");
}

// "0-3,5,7-8"
std::string RankList(const google::protobuf::RepeatedField<uint32_t>& ranks) {
  std::vector<std::string> ranges;
  for (int i = 0; i < ranks.size();) {
    int end = i;
    while (end + 1 < ranks.size() && ranks[end + 1] == ranks[end] + 1) ++end;
    ranges.push_back(end == i ? absl::StrCat(ranks[i])
                              : absl::StrCat(ranks[i], "-", ranks[end]));
    i = end + 1;
  }
  return absl::StrJoin(ranges, ",");
}

std::string WhoOf(const v1::Alert& alert) {
  if (alert.ranks().empty()) return "the run";
  return absl::StrCat(alert.ranks_size() == 1 ? "rank " : "ranks ",
                      RankList(alert.ranks()));
}

std::string StepsOf(const v1::Alert& alert) {
  if (alert.first_step() == alert.last_step()) {
    return absl::StrCat(alert.first_step());
  }
  return absl::StrCat(alert.first_step(), "-", alert.last_step());
}

std::string StateOf(const v1::Run& run) {
  return absl::AsciiStrToLower(v1::RunState_Name(run.state()));
}

std::string StateOf(const v1::Alert& alert) {
  return absl::AsciiStrToLower(v1::AlertState_Name(alert.state()));
}

std::string SeverityOf(const v1::Alert& alert) {
  if (alert.severity() == v1::ALERT_SEVERITY_UNSPECIFIED) return "-";
  return absl::AsciiStrToLower(v1::AlertSeverity_Name(alert.severity()));
}

std::string StepRanks(const v1::Step& step) {
  return absl::StrCat(step.ranks_reporting(), "/", step.ranks_expected());
}

std::string RankState(const v1::Rank& rank) {
  if (rank.departed()) return "left";
  return rank.connected() ? "connected" : "lost";
}

}  // namespace muster::cli
