// One rank is persistently not exchangeable with the others, or grossly off.
#ifndef MUSTER_DAEMON_DETECT_RANK_OUTLIER_H_
#define MUSTER_DAEMON_DETECT_RANK_OUTLIER_H_

#include <cstdint>
#include <vector>

#include "daemon/detect/detector.h"
#include "daemon/detect/gross_rule.h"
#include "daemon/detect/rank_metric.h"
#include "daemon/detect/rank_order_test.h"
#include "daemon/detect/robust_spread.h"

namespace muster::detect {

// One stream of bets (rank_order_test.h) for each rank, side and metric, raised
// at target × 2 N × metrics. The margin of a metric is the larger of its floor
// and `margin` × the pooled spread of the frames before (robust_spread.h).
//
// One true outlier makes the others look odd in the end, so only the leading
// stream names its rank. A named rank leaves the others' reference, their
// streams start again, and it goes on being tested against them: each further
// crossing is fresh evidence. Without any for `resolve_after_frames` the alert
// is cleared, the rank comes back and all streams start again. Where only two
// ranks can be compared, both are named and neither is blamed.
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
    uint32_t rank;
    Metric metric;
    Side side;
    bool against_one;  // only one other rank to compare with
    double statistic;
  };
  // An alert that stands.
  struct Standing {
    std::vector<uint32_t> ranks;
    Metric metric;
    uint64_t first_step;
    uint64_t evidence_frame;  // when it was raised last
  };

  void JudgeOrders(Metric metric, const consistency::Measures& measures);
  void Bet(Metric metric, const RankValue& value);
  void TakeCrossings(const consistency::Measures& measures,
                     std::vector<Finding>& out);
  void RaiseCrossing(const Crossing& crossing,
                     const consistency::Measures& measures,
                     std::vector<Finding>& out);
  void JudgeGross(Metric metric, const consistency::Measures& measures,
                  std::vector<Finding>& out);
  void ResolveQuiet(std::vector<Finding>& out);

  // Notes the evidence, excludes a rank that is named alone, and appends the
  // finding; nothing if that alert was raised in this very frame.
  void Raise(Finding finding, Metric metric, std::vector<Finding>& out);
  void Clear(const Standing& standing, std::vector<Finding>& out) const;
  RankOrderStream& Stream(uint32_t rank, Metric metric, Side side);
  void RestartStreamsOfOthers();
  void Reset(uint32_t world_size, std::vector<Finding>& out);

  const RankOutlierOptions options_;
  std::vector<MetricState> metrics_;  // in the order of kMetrics
  BetTable bets_;

  uint32_t world_size_ = 0;
  double threshold_ = 0;  // of a stream's statistic
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
  uint64_t frame_ = 0;  // frames judged so far
  std::vector<RankOrderStream> streams_;
  std::vector<Recent> recent_;
  std::vector<uint8_t> excluded_;  // by rank: named alone by a standing alert
  std::vector<Standing> standing_;

  // Of the frame being judged; members so that frames do not allocate.
  std::vector<RankValue> values_;
  std::vector<double> reference_;  // ascending, of ranks that are not excluded
  std::vector<Crossing> crossings_;
  std::vector<GrossOutlier> gross_;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_RANK_OUTLIER_H_
