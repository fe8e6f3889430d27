#include "daemon/detect/fact_vote.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

constexpr size_t kValuesListed = 4;
constexpr size_t kValueBytes = 64;
constexpr size_t kNameBytes = 64;

struct Group {
  const std::string* value = nullptr;
  std::vector<uint32_t> ranks;
};

}  // namespace

std::optional<Disagreement> FindDisagreement(std::string_view name,
                                             std::span<const Vote> votes) {
  if (votes.empty()) return std::nullopt;
  const auto agrees = [&](const Vote& vote) {
    return vote.value != nullptr && votes[0].value != nullptr &&
           *vote.value == *votes[0].value;
  };
  if (std::all_of(votes.begin(), votes.end(), agrees)) return std::nullopt;

  std::map<std::string_view, Group> by_value;
  Group silent;
  for (const Vote& vote : votes) {
    Group* group = &silent;
    if (vote.value != nullptr) {
      group = &by_value[*vote.value];
      group->value = vote.value;
    }
    group->ranks.push_back(vote.rank);
  }
  const size_t stated = votes.size() - silent.ranks.size();
  const bool expected_of_all = 2 * stated > votes.size();
  if (by_value.size() < 2 && !(expected_of_all && !silent.ranks.empty())) {
    return std::nullopt;
  }
  std::vector<Group> groups;
  for (auto& [value, group] : by_value) groups.push_back(std::move(group));
  // Most common first; stable, so that equally common values stay sorted.
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) {
                     return a.ranks.size() > b.ranks.size();
                   });
  const bool majority = 2 * groups[0].ranks.size() > stated;

  Disagreement result;
  for (size_t i = majority ? 1 : 0; i < groups.size(); ++i) {
    result.ranks.insert(result.ranks.end(), groups[i].ranks.begin(),
                        groups[i].ranks.end());
  }
  if (expected_of_all && !silent.ranks.empty()) {
    result.ranks.insert(result.ranks.end(), silent.ranks.begin(),
                        silent.ranks.end());
    groups.push_back(std::move(silent));
  }
  std::sort(result.ranks.begin(), result.ranks.end());
  result.values = groups.size();
  result.evidence = absl::StrCat(Shorten(name, kNameBytes), " differs: ");
  for (size_t i = 0; i < groups.size() && i < kValuesListed; ++i) {
    const std::string value =
        groups[i].value == nullptr
            ? "(not stated)"
            : absl::StrCat("\"", Shorten(*groups[i].value, kValueBytes), "\"");
    absl::StrAppend(&result.evidence, i == 0 ? "" : "; ", value, " on ",
                    RankList(groups[i].ranks));
  }
  if (groups.size() > kValuesListed) {
    absl::StrAppend(&result.evidence, "; and ",
                    Count(groups.size() - kValuesListed, "more value"));
  }
  result.evidence += '.';
  return result;
}

}  // namespace muster::detect
