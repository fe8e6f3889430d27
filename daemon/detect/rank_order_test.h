// The sequential test behind RankOutlier: is this rank's order among the ranks
// uniform over time?
#ifndef MUSTER_DAEMON_DETECT_RANK_ORDER_TEST_H_
#define MUSTER_DAEMON_DETECT_RANK_ORDER_TEST_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace muster::detect {

// Where one value stands among `count` values, itself included: `beyond` others
// are more extreme and `tied` others are equal.
struct Order {
  size_t beyond = 0;
  size_t tied = 0;
  size_t count = 0;
};

struct Orders {
  Order upper;  // more extreme: larger
  Order lower;  // more extreme: smaller
};

// Orders of `value` − margin (upper) and `value` + margin (lower) among the
// ascending `values`; `included` says whether `value` itself is one of them.
// With a margin, equal others count as more extreme, against the alarm; without
// one they are ties.
Orders OrdersAmong(std::span<const double> values, double value, double margin,
                   bool included);

// Orders of each of the ascending `values` among them all, as OrdersAmong()
// finds them one by one, in one pass.
void OrdersOfAll(std::span<const double> values, double margin,
                 std::vector<Orders>& orders);

inline constexpr std::array<double, 5> kExponents = {0.1, 0.25, 0.5, 0.75, 0.9};
using Bets = std::array<double, kExponents.size()>;

// Assumption (null): given the past, R = 1 + beyond is uniform on 1 … M, or
// larger in distribution. It holds for each rank if ranks are exchangeable,
// whatever their distribution, and with a margin if the rank is shifted by at
// most the margin.
//
// Bet: e_ε(R) = M [(R/M)^ε − ((R−1)/M)^ε], averaged over tied positions. Its
// sum over R telescopes to M, so that its mean under the null is exactly 1: an
// e-value. It falls with R, so that a larger R only lowers it.
//
// Thread-compatible; grows to the largest M seen.
class BetTable {
 public:
  // Requires that order.count is at most one more than was prepared last.
  Bets BetsOn(const Order& order) const {
    if (order.tied == 0 && order.count == untied_.size()) {
      return untied_[order.beyond];
    }
    return Compute(order);
  }
  // Bets on orders among `count` values without ties are looked up from now on.
  void Prepare(size_t count);

 private:
  Bets Compute(const Order& order) const;

  std::vector<Bets> powers_;  // k^ε for k = 0 …
  std::vector<Bets> scales_;  // M^(1−ε) for M = 0 …
  std::vector<Bets> untied_;  // by the number beyond
};

// One stream of bets. Statistic: W_ε ← e_ε (1 + W_ε) from 0 (Shiryaev–Roberts),
// averaged over ε.
//
// Guarantee: under the null E[W_n | past] = 1 + W_(n−1), so each frame adds 1
// to the expected mean W over S streams, and an alarm at level ≥ T·S by any
// stream takes T or more out of it when that stream starts again. Hence at most
// n/T alarms are expected in n frames, and at least T frames before the first,
// under any dependence between streams (Shin, Ramdas, Rinaldo 2022, arXiv
// 2203.03532: e-detectors).
//
// Thread-compatible.
class RankOrderStream {
 public:
  // `deviation`: how far out the value was, for evidence only.
  void Add(const Bets& bets, uint64_t step, double deviation) {
    double sum = 0;
    for (size_t i = 0; i < bets.size(); ++i) {
      evidence_[i] = bets[i] * (1 + evidence_[i]);
      sum += bets[i];
    }
    const double mean_bet = sum / static_cast<double>(bets.size());
    // As likely as not: selections, not branches.
    const bool starts = page_ <= 1;
    page_ = (starts ? 1 : page_) * mean_bet;
    onset_step_ = starts ? step : onset_step_;
    onset_bets_ = (starts ? 0 : onset_bets_) + 1;
    deviation_sum_ = (starts ? 0 : deviation_sum_) + deviation;
  }
  void Restart() { *this = RankOrderStream(); }

  double statistic() const {
    double sum = 0;
    for (double evidence : evidence_) sum += evidence;
    return sum / static_cast<double>(evidence_.size());
  }
  // Since when the rank has been odd: the last restart of Page's cumulative sum
  // with the mean of the bets, the usual estimate of a change point. Steps,
  // number of bets and mean deviation since then; meaningful where statistic()
  // is large.
  uint64_t onset_step() const { return onset_step_; }
  uint64_t onset_bets() const { return onset_bets_; }
  double mean_deviation() const {
    return deviation_sum_ / static_cast<double>(onset_bets_);
  }

 private:
  Bets evidence_{};  // W_ε
  double page_ = 0;
  uint64_t onset_step_ = 0;
  uint64_t onset_bets_ = 0;
  double deviation_sum_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_RANK_ORDER_TEST_H_
