#include "daemon/detect/duplicate_groups.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "daemon/base/disjoint_sets.h"

namespace muster::detect {
namespace {

// The same for each order of the same identifiers (SplitMix64's finalizer, so
// that consecutive ones do not cancel).
uint64_t OrderFreeHash(const std::vector<uint64_t>& ids) {
  uint64_t sum = 0;
  for (uint64_t id : ids) {
    uint64_t z = id + 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    sum += z ^ (z >> 31);
  }
  return sum;
}

bool SameSamples(std::vector<uint64_t> a, std::vector<uint64_t> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

void LinkBySamples(const frames::Frame& frame, DisjointSets& sets) {
  // First report with that number of samples and hash.
  std::map<std::pair<size_t, uint64_t>, size_t> first;
  for (size_t i = 0; i < frame.reports.size(); ++i) {
    const std::vector<uint64_t>& ids = frame.reports[i].sample_ids;
    if (ids.empty()) continue;
    const auto [it, inserted] =
        first.try_emplace({ids.size(), OrderFreeHash(ids)}, i);
    if (!inserted && SameSamples(ids, frame.reports[it->second].sample_ids)) {
      sets.Join(i, it->second);
    }
  }
}

}  // namespace

std::vector<size_t> GroupDuplicates(
    const frames::Frame& frame,
    const std::vector<consistency::RankPair>& lookalikes) {
  const auto& reports = frame.reports;
  DisjointSets sets(reports.size());
  LinkBySamples(frame, sets);
  const auto index_of = [&](uint32_t rank) -> std::optional<size_t> {
    const auto it =
        std::lower_bound(reports.begin(), reports.end(), rank,
                         [](const frames::Report& report, uint32_t r) {
                           return report.rank < r;
                         });
    if (it == reports.end() || it->rank != rank) return std::nullopt;
    return static_cast<size_t>(it - reports.begin());
  };
  for (const consistency::RankPair& pair : lookalikes) {
    const auto first = index_of(pair.first);
    const auto second = index_of(pair.second);
    if (first && second) sets.Join(*first, *second);
  }
  std::vector<size_t> groups(reports.size());
  for (size_t i = 0; i < groups.size(); ++i) groups[i] = sets.Find(i);
  return groups;
}

}  // namespace muster::detect
