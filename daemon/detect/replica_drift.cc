#include "daemon/detect/replica_drift.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

// Sketches are sums of binary32 numbers: nearer than this cannot be told.
constexpr double kResolution = 1e-6;
constexpr size_t kGroupsNamed = 4;
constexpr size_t kNameBytes = 64;

const frames::FactSet* FactsOf(const frames::Frame& frame) {
  for (const frames::Report& report : frame.reports) {
    if (report.replica_fingerprint && report.facts) return report.facts.get();
  }
  return nullptr;
}

double ToleranceOf(const frames::FactSet& facts) {
  const auto it = facts.find("replica_tolerance");
  double tolerance = 0;
  if (it == facts.end() || !absl::SimpleAtod(it->second.value, &tolerance)) {
    return 0;
  }
  return std::isfinite(tolerance) && tolerance > 0 ? tolerance : 0;
}

// The names in `replica_groups`, `replica_groups.1`, …
std::vector<std::string> GroupNames(const frames::FactSet& facts) {
  std::vector<std::string> names;
  for (int part = 0;; ++part) {
    const std::string fact =
        part == 0 ? "replica_groups" : absl::StrCat("replica_groups.", part);
    const auto it = facts.find(fact);
    if (it == facts.end()) return names;
    for (absl::string_view name : absl::StrSplit(it->second.value, ',')) {
      names.emplace_back(name);
    }
  }
}

std::string DescribeGroups(const std::vector<uint32_t>& groups,
                           const std::vector<std::string>& names) {
  if (groups.empty()) return "";
  std::string text = " in ";
  for (size_t i = 0; i < std::min(groups.size(), kGroupsNamed); ++i) {
    const uint32_t group = groups[i];
    absl::StrAppend(&text, i == 0 ? "" : ", ",
                    group < names.size() ? Shorten(names[group], kNameBytes)
                                         : absl::StrCat("group ", group));
  }
  if (groups.size() > kGroupsNamed) {
    absl::StrAppend(&text, " and ", groups.size() - kGroupsNamed, " more");
  }
  return text;
}

std::string DescribeDistance(double distance, bool known) {
  if (!known) return "";
  if (distance < kResolution) {
    return absl::StrFormat(", by less than %g of their norm", kResolution);
  }
  return absl::StrFormat(", by %.3g of their norm", distance);
}

}  // namespace

void ReplicaDrift::OnFrame(const JudgedFrame& judged,
                           std::vector<Finding>& out) {
  const consistency::Measures& measures = judged.measures;
  attempt_ = judged.frame.attempt;
  last_step_ = judged.frame.step;
  if (measures.replica_ranks < 2) return;
  const frames::FactSet none;
  const frames::FactSet* stated = FactsOf(judged.frame);
  const frames::FactSet& facts = stated == nullptr ? none : *stated;
  const double tolerance = ToleranceOf(facts);

  Concern concern;
  double farthest = 0;
  bool distance_known = false;
  for (const consistency::RankMeasures& rank : measures.ranks) {
    if (!rank.replica_differs) continue;
    if (tolerance > 0 && rank.replica_distance &&
        *rank.replica_distance <= tolerance) {
      continue;
    }
    concern.ranks.push_back(rank.rank);
    distance_known = distance_known || rank.replica_distance.has_value();
    farthest = std::max(farthest, rank.replica_distance.value_or(0));
  }
  if (concern.ranks.empty()) {
    if (!standing_.stands()) return;
    const auto present = [&](uint32_t rank) {
      const auto it = std::lower_bound(
          measures.ranks.begin(), measures.ranks.end(), rank,
          [](const auto& a, uint32_t b) { return a.rank < b; });
      return it != measures.ranks.end() && it->rank == rank;
    };
    // None of those it names is here to say that it has come back.
    if (std::none_of(standing_.ranks().begin(), standing_.ranks().end(),
                     present)) {
      return;
    }
    standing_.Clear(attempt_, last_step_, out);
    return;
  }
  const std::string where =
      DescribeGroups(measures.replica_groups, GroupNames(facts));
  const std::string far = DescribeDistance(farthest, distance_known);
  if (measures.replica_majority) {
    const bool one = concern.ranks.size() == 1;
    concern.evidence = absl::StrCat(
        RankListAtStart(concern.ranks), one ? "'s" : "'", " parameters differ",
        where, " from those that the other ranks share", far, ".");
  } else {
    concern.evidence = absl::StrCat(
        "The parameters of ", RankList(concern.ranks), " differ", where, far,
        "; ", Count(measures.replica_values, "version"),
        ", none of which most ranks have, so it cannot be told who is right.");
  }
  concern.value = farthest;
  concern.expected = tolerance;
  standing_.Raise(std::move(concern), attempt_, last_step_, out);
}

void ReplicaDrift::OnEvent(const frames::Event& event,
                           std::vector<Finding>& out) {
  // A new attempt loads its parameters anew.
  if (!std::holds_alternative<frames::AttemptBegan>(event)) return;
  standing_.Clear(attempt_, last_step_, out);
}

}  // namespace muster::detect
