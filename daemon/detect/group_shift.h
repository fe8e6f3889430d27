// The ranks as a group agree otherwise than this run did, or than its reference
// does at this step: DispersionShift and DirectionShift.
#ifndef MUSTER_DAEMON_DETECT_GROUP_SHIFT_H_
#define MUSTER_DAEMON_DETECT_GROUP_SHIFT_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/detect/detector.h"
#include "daemon/detect/group_values.h"
#include "daemon/detect/sign_test.h"
#include "daemon/detect/stated_changes.h"
#include "daemon/detect/trend.h"

namespace muster::detect {

// One series for each metric of the kind (group_values.h): of DispersionShift
// the log spreads of loss and gradient norm, of DirectionShift the log of the
// noise scale behind the mean cosine. A series is held
//   against its own past: the line through the window before (trend.h), which
//     takes out slow drift; the first `warmup_frames` frames do not count;
//   against the reference, where there is one: its values at the same step.
// On each side a sign test (sign_test.h) asks whether the series is more than
// `effect`, and the standard error of what is expected, away from it, more
// often than not; a stream raises at target × number of streams. Subjects:
// "loss", "gradient_norm", "direction", and the same with "_against_reference".
//
// While an alert against the past stands, what was expected stays as it was
// when it was raised: a lasting shift must not become its own measure. It is
// cleared without new evidence for `resolve_after_frames`; after
// `absorb_frames` the shift is what is normal. A change of learning rate, batch
// or accumulation (stated_changes.h), a rewind and a new world size start all
// again.
//
// Assumption (null): given the past, the value is as likely above as below what
// is expected, give or take `effect`. Against the past it is an extrapolation,
// so that there is NO finite-sample guarantee: bends of the curve that are
// sharper than `effect` within the window are found too, as they should be, if
// nobody stated them. Against a reference of the same set-up the guarantee is
// that of the sign test. False alarms are measured in group_shift_test.
//
// Thread-compatible. O(window) for each frame.
class GroupShift : public Detector {
 public:
  // `kind`: kDispersionShift or kDirectionShift. `reference` may be null.
  GroupShift(Kind kind, const GroupShiftOptions& options,
             std::shared_ptr<const ReferenceCurve> reference);

  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  // One side of a comparison; sums since the onset, for evidence.
  struct Side {
    SignTest test;
    double values = 0;
    double expected = 0;
  };
  // A series against one thing.
  struct Comparison {
    std::string subject;
    std::array<Side, 2> sides;  // above, below
    bool standing = false;
    uint64_t first_step = 0;
    uint64_t raised_frame = 0;    // first
    uint64_t evidence_frame = 0;  // newest
  };
  struct Series {
    GroupMetric metric;
    Trend trend;
    // What is expected while the alert stands.
    std::optional<Trend::Prediction> frozen;
    Comparison past;
    Comparison reference;
  };

  void JudgeSeries(const GroupValues& group, Series& series,
                   std::vector<Finding>& out);
  // Takes one vote on each side, and raises what crosses. True if it raised.
  bool Vote(const Series& series, Comparison& comparison, double value,
            const Trend::Prediction& expected, double log_weight,
            std::vector<Finding>& out);
  Finding Describe(const Series& series, const Comparison& comparison,
                   const Side& side, double log_weight) const;
  void ResolveQuiet(Series& series, std::vector<Finding>& out);
  void Clear(Comparison& comparison, Phase phase, std::vector<Finding>& out);
  // Forgets the past of all series.
  void Restart(Phase phase, std::vector<Finding>& out);

  const Kind kind_;
  const GroupShiftOptions options_;
  const std::shared_ptr<const ReferenceCurve> reference_;
  const std::vector<GroupMetric> metrics_;
  double threshold_;  // of a stream's statistic
  std::vector<Series> series_;
  StatedChanges changes_;
  uint32_t world_size_ = 0;
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
  uint64_t frame_ = 0;  // judged so far, since the world size changed
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_GROUP_SHIFT_H_
