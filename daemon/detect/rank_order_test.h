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
  // Requires a call of Prepare(count) before, count ≥ 1.
  Bets BetsOn(const Order& order) const;
  void Prepare(size_t count);

 private:
  std::vector<Bets> powers_;  // k^ε for k = 0 …
  std::vector<Bets> scales_;  // M^(1−ε) for M = 0 …
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
  void Add(const Bets& bets, uint64_t step, double deviation);
  void Restart() { *this = RankOrderStream(); }

  double statistic() const;
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
