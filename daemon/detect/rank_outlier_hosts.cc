// The part of RankOutlier that speaks of hosts.
#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "daemon/detect/rank_outlier.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

// Ranks are few on a host: a mean of their values would follow one of them.
double MedianOf(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return SortedMedian(values);
}

}  // namespace

bool RankOutlier::HostIsBlamed(size_t host) const {
  const std::vector<uint32_t>& ranks = hosts_.groups()[host].ranks;
  return std::any_of(
      standing_.begin(), standing_.end(),
      [&](const Standing& each) { return each.blamed && each.ranks == ranks; });
}

bool RankOutlier::IsCovered(uint32_t rank) const {
  return std::any_of(standing_.begin(), standing_.end(), [&](const auto& each) {
    return each.ranks.size() > 1 &&
           std::binary_search(each.ranks.begin(), each.ranks.end(), rank);
  });
}

bool RankOutlier::AgainstOneHost(size_t host) const {
  const std::string* other = nullptr;
  for (uint32_t rank = 0; rank < world_size_; ++rank) {
    if (excluded_[rank] || hosts_.GroupOf(rank) == host) continue;
    const std::string& name = hosts_.HostOf(rank);
    if (other != nullptr && *other != name) return false;
    other = &name;
  }
  return true;
}

void RankOutlier::TakeOverRanksOf(const HostGroup& host,
                                  std::vector<Finding>& out) {
  for (size_t i = 0; i < standing_.size();) {
    const Standing& standing = standing_[i];
    if (standing.ranks.size() > 1 ||
        !std::binary_search(host.ranks.begin(), host.ranks.end(),
                            standing.ranks.front())) {
      ++i;
      continue;
    }
    Clear(standing, Phase::kReplaced, out);
    standing_.erase(standing_.begin() + static_cast<ptrdiff_t>(i));
  }
  Exclude();
}

void RankOutlier::RaiseHost(const Crossing& crossing,
                            const consistency::Measures& measures,
                            std::vector<Finding>& out) {
  const HostGroup& host = hosts_.groups()[crossing.host];
  const bool blamed = HostIsBlamed(crossing.host) || !crossing.against_one;
  const RankOrderStream& stream = StreamOf(crossing);
  const MetricState& state = metrics_[static_cast<size_t>(crossing.metric)];
  Finding finding;
  finding.kind = Kind::kRankOutlier;
  finding.subject = MetricSubject(crossing.metric);
  finding.ranks = host.ranks;
  finding.first_step = stream.onset_step();
  finding.value = std::abs(stream.mean_deviation());
  finding.expected =
      state.scale > 0 ? state.margin / state.scale : options_.margin;
  std::vector<double> own;
  std::vector<double> others;
  for (const consistency::RankMeasures& rank : measures.ranks) {
    const std::optional<double> raw = RawValue(crossing.metric, rank);
    if (!raw || rank.rank >= world_size_) continue;
    if (hosts_.GroupOf(rank.rank) == crossing.host) {
      own.push_back(*raw);
    } else if (!excluded_[rank.rank]) {
      others.push_back(*raw);
      if (!blamed) finding.ranks.push_back(rank.rank);
    }
  }
  std::sort(finding.ranks.begin(), finding.ranks.end());
  finding.evidence = absl::StrFormat(
      "The %d ranks of host '%s' have had their %s %s the median of the "
      "others since step %d, on average by %.1f robust deviations (now %.4g "
      "against %.4g); healthy hosts take turns%s.",
      host.ranks.size(), Shorten(host.name, 64), MetricName(crossing.metric),
      crossing.side == kUpper ? "above" : "below", finding.first_step,
      finding.value, MedianOf(own), MedianOf(others),
      blamed ? ""
             : ", but with only two to compare this cannot be attributed to "
               "one of them");
  if (blamed) TakeOverRanksOf(host, out);
  Raise(std::move(finding), crossing.metric, blamed, out);
}

}  // namespace muster::detect
