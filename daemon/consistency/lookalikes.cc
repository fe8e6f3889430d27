#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "daemon/base/disjoint_sets.h"
#include "daemon/consistency/measure.h"

namespace muster::consistency {
namespace {

constexpr size_t kNeighbours = 8;

bool Close(double a, double b) {
  return std::abs(a - b) <=
         kLookalikeTolerance * std::max(std::abs(a), std::abs(b));
}

// Links within reports[begin … end) of `order`, whose losses form a chain of
// close neighbours.
void LinkByDirection(const frames::Frame& frame, std::span<size_t> order,
                     DisjointSets& sets, std::vector<RankPair>& pairs) {
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
      if (DirectionCosine(a, b) >= kLookalikeCosine) {
        sets.Join(order[p], order[q]);
        pairs.push_back({std::min(a.rank, b.rank), std::max(a.rank, b.rank)});
      }
    }
  }
}

}  // namespace

std::vector<RankPair> FindLookalikes(const frames::Frame& frame) {
  const auto& reports = frame.reports;
  // Beside their losses: reports are large, and far apart in memory.
  std::vector<std::pair<double, size_t>> by_loss;
  for (size_t i : ComparableDirections(frame)) {
    const frames::Report& report = reports[i];
    if (report.loss && std::isfinite(*report.loss) && *report.loss != 0 &&
        *report.gradient_norm > 0) {
      by_loss.emplace_back(*report.loss, i);
    }
  }
  std::sort(by_loss.begin(), by_loss.end());
  DisjointSets sets(reports.size());
  std::vector<RankPair> pairs;
  std::vector<size_t> chain;
  for (size_t begin = 0; begin < by_loss.size();) {
    chain = {by_loss[begin].second};
    size_t end = begin + 1;
    while (end < by_loss.size() &&
           Close(by_loss[end - 1].first, by_loss[end].first)) {
      chain.push_back(by_loss[end++].second);
    }
    if (chain.size() > 1) LinkByDirection(frame, chain, sets, pairs);
    begin = end;
  }
  return pairs;
}

}  // namespace muster::consistency
