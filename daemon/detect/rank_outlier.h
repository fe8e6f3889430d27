// One rank is persistently not exchangeable with the others, or grossly off.
#ifndef MUSTER_DAEMON_DETECT_RANK_OUTLIER_H_
#define MUSTER_DAEMON_DETECT_RANK_OUTLIER_H_

#include <array>
#include <cstdint>
#include <vector>

#include "daemon/detect/detector.h"
#include "daemon/detect/gross_rule.h"
#include "daemon/detect/host_groups.h"
#include "daemon/detect/rank_metric.h"
#include "daemon/detect/rank_order_test.h"
#include "daemon/detect/robust_spread.h"

namespace muster::detect {

// One stream of bets (rank_order_test.h) for each rank, side and metric, and
// one for each host, side and metric, whose bet is the mean of its ranks' bets:
// the mean of e-values is an e-value. N ranks make at most N/2 hosts with two
// ranks or more, so a stream raises at target × 2 × metrics × 3 N/2, whatever
// the hosts are. The margin of a metric is the larger of its floor and `margin`
// × the pooled spread of the frames before (robust_spread.h).
//
// One true outlier makes the others look odd in the end, so only the leading
// stream names its rank. A named rank leaves the others' reference, their
// streams start again, and it goes on being tested against them: each further
// crossing is fresh evidence. Without any for `resolve_after_frames` the alert
// is cleared, the rank comes back and all streams start again. Where only two
// ranks can be compared, both are named and neither is blamed.
//
// A host is named as its ranks would be, all of them in one finding; ranks of
// it that were named before are taken into it, and none is named besides. A
// rank that is named leaves its host's stream. Of two hosts that are all there
// is, neither is blamed.
//
// Frames that a rewound run repeats are no fresh evidence: when steps go back,
// streams start again, while spreads and named ranks stay. A new world size
// forgets everything.
//
// Assumption (null): given the past, ranks are exchangeable but for shifts of
// at most the margin. Guarantee of the orders: at most n / target raises
// expected in n frames, however ranks and metrics depend on each other. The
// gross rule (gross_rule.h) comes on top, without guarantee.
//
// Step times are often anti-correlated (a late report shortens the next time),
// which the null excludes; it makes runs of orders rarer, and the floor covers
// what jitter leaves.
//
// Thread-compatible. 72 bytes for each stream.
class RankOutlier : public Detector {
 public:
  explicit RankOutlier(const RankOutlierOptions& options);

  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  enum Side { kUpper, kLower };
  // What is known of one metric of the run.
  struct MetricState {
    SpreadHistory spread;      // of the comparable values
    SpreadHistory log_spread;  // of log losses; used by the loss only
    double floor;
    // Of the frames before this one: pooled spread, number of spreads.
    double scale = 0;
    uint64_t history = 0;
    double margin = 0;  // in the metric's unit
  };
  // For evidence: on which side of the others' median the newest 64 values
  // were, newest in the lowest bit.
  struct Recent {
    uint64_t above = 0;
    uint64_t below = 0;
  };
  struct Crossing {
    uint32_t rank;  // of a host: its first
    size_t host;    // index of its group, HostGroups::kNone for a rank
    Metric metric;
    Side side;
    bool against_one;  // only one other rank, or host, to compare with
    double statistic;

    bool of_host() const { return host != HostGroups::kNone; }
  };
  // An alert that stands.
  struct Standing {
    std::vector<uint32_t> ranks;
    Metric metric;
    uint64_t first_step;
    uint64_t evidence_frame;  // when it was raised last
    bool blamed;              // its ranks are excluded
  };
  // Bets of a host's ranks in one frame, side by side.
  struct HostBets {
    std::array<Bets, 2> sums{};
    double deviations = 0;
    uint32_t ranks = 0;
  };

  void JudgeOrders(Metric metric, const consistency::Measures& measures);
  // Fills what is kept of the frame's reference from values_.
  void SortReference();
  void Bet(Metric metric, const RankValue& value);
  void BetOnHosts(Metric metric);
  void TakeCrossings(const consistency::Measures& measures,
                     std::vector<Finding>& out);
  void RaiseCrossing(const Crossing& crossing,
                     const consistency::Measures& measures,
                     std::vector<Finding>& out);
  void RaiseHost(const Crossing& crossing,
                 const consistency::Measures& measures,
                 std::vector<Finding>& out);
  // Ends the alerts of single ranks of a host that is named itself.
  void TakeOverRanksOf(const HostGroup& host, std::vector<Finding>& out);
  // Whether all others that are compared with the host are on one host.
  bool AgainstOneHost(size_t host) const;
  bool HostIsBlamed(size_t host) const;
  // Whether an alert stands that blames several ranks, or none of several,
  // this one among them.
  bool IsCovered(uint32_t rank) const;
  void JudgeGross(Metric metric, const consistency::Measures& measures,
                  std::vector<Finding>& out);
  void ResolveQuiet(std::vector<Finding>& out);

  // Notes the evidence, excludes the ranks if they are blamed, and appends the
  // finding; nothing if that alert was raised in this very frame.
  void Raise(Finding finding, Metric metric, bool blamed,
             std::vector<Finding>& out);
  void Clear(const Standing& standing, Phase phase,
             std::vector<Finding>& out) const;
  RankOrderStream& Stream(uint32_t rank, Metric metric, Side side);
  Recent& RecentOf(uint32_t rank, Metric metric);
  RankOrderStream& HostStream(size_t host, Metric metric, Side side);
  RankOrderStream& StreamOf(const Crossing& crossing);
  // Follows the alerts that stand.
  void Exclude();
  void RestartStreamsOfOthers();
  void Reset(uint32_t world_size, std::vector<Finding>& out);

  const RankOutlierOptions options_;
  std::vector<MetricState> metrics_;  // in the order of kMetrics
  BetTable bets_;

  uint32_t world_size_ = 0;
  double threshold_ = 0;  // of a stream's statistic
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
  uint64_t frame_ = 0;                    // frames judged so far
  std::vector<RankOrderStream> streams_;  // by metric, rank and side
  std::vector<Recent> recent_;            // by metric and rank
  std::vector<uint8_t> excluded_;         // by rank: blamed by a standing alert
  HostGroups hosts_;
  bool hosts_changed_ = false;
  std::vector<RankOrderStream> host_streams_;
  std::vector<Standing> standing_;

  // Of the frame being judged; members so that frames do not allocate.
  std::vector<RankValue> values_;
  // Of ranks that are not excluded, ascending: values, and orders among them.
  std::vector<RankValue> ascending_;
  std::vector<double> reference_;
  std::vector<Orders> orders_;
  std::vector<uint32_t> place_;  // index into those, by rank
  std::vector<Crossing> crossings_;
  std::vector<HostBets> host_bets_;
  std::vector<GrossOutlier> gross_;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_RANK_OUTLIER_H_
