#include "daemon/detect/duplicate_groups.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <span>
#include <utility>

#include "daemon/consistency/measure.h"

namespace muster::detect {
namespace {

constexpr size_t kNeighbours = 8;

// Disjoint sets whose representative is their smallest member.
class Sets {
 public:
  explicit Sets(size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }
  size_t Find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void Join(size_t a, size_t b) {
    a = Find(a);
    b = Find(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<size_t> parent_;
};

bool Close(double a, double b) {
  return std::abs(a - b) <=
         kDuplicateTolerance * std::max(std::abs(a), std::abs(b));
}

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

void LinkBySamples(const frames::Frame& frame, Sets& sets) {
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

// Links within reports[begin … end) of `order`, whose losses form a chain of
// close neighbours.
void LinkByDirection(const frames::Frame& frame, std::span<size_t> order,
                     Sets& sets) {
  const auto& reports = frame.reports;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return *reports[a].gradient_norm < *reports[b].gradient_norm;
  });
  for (size_t p = 0; p < order.size(); ++p) {
    const frames::Report& a = reports[order[p]];
    for (size_t q = p + 1; q < order.size() && q <= p + kNeighbours; ++q) {
      const frames::Report& b = reports[order[q]];
      if (!Close(*a.gradient_norm, *b.gradient_norm)) break;
      if (!Close(*a.loss, *b.loss) ||
          sets.Find(order[p]) == sets.Find(order[q])) {
        continue;
      }
      if (consistency::DirectionCosine(a, b) >= kDuplicateCosine) {
        sets.Join(order[p], order[q]);
      }
    }
  }
}

}  // namespace

std::vector<size_t> GroupDuplicates(const frames::Frame& frame) {
  const auto& reports = frame.reports;
  Sets sets(reports.size());
  LinkBySamples(frame, sets);

  std::vector<size_t> order;
  for (size_t i : consistency::ComparableDirections(frame)) {
    const frames::Report& report = reports[i];
    if (report.loss && std::isfinite(*report.loss) && *report.loss != 0 &&
        report.gradient_norm && *report.gradient_norm > 0) {
      order.push_back(i);
    }
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return *reports[a].loss < *reports[b].loss;
  });
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() &&
           Close(*reports[order[end - 1]].loss, *reports[order[end]].loss)) {
      ++end;
    }
    LinkByDirection(frame, std::span(order).subspan(begin, end - begin), sets);
    begin = end;
  }

  std::vector<size_t> groups(reports.size());
  for (size_t i = 0; i < groups.size(); ++i) groups[i] = sets.Find(i);
  return groups;
}

}  // namespace muster::detect
