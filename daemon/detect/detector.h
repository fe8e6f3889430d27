// The seam of all detectors, and the stream that they judge.
#ifndef MUSTER_DAEMON_DETECT_DETECTOR_H_
#define MUSTER_DAEMON_DETECT_DETECTOR_H_

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "daemon/consistency/measures.h"
#include "daemon/detect/finding.h"
#include "daemon/detect/kinds.h"
#include "daemon/frames/frame.h"

namespace muster::detect {

// A closed frame with its numbers. Both outlive the call only by their owners'
// leave: detectors copy what they keep. Nobody looks at the reports' sketches:
// what they say is in the measures, so that a frame can be judged again after
// its sketches are gone.
struct JudgedFrame {
  const frames::Frame& frame;
  const consistency::Measures& measures;
};

// Deterministic in the order of calls and their arguments: no clock, no
// randomness, no I/O. Thread-compatible.
class Detector {
 public:
  virtual ~Detector() = default;
  // A frame was closed and measured; frames come in step order.
  virtual void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) = 0;
  // Anything else, time included (frames::FrameClosed does not come here).
  virtual void OnEvent(const frames::Event& event, std::vector<Finding>& out) {}
};

struct RankOutlierOptions {
  // Share of the run's false alarms that this kind may make; > 0.
  double budget = 0.5;
  // Mean frames between false alarms of this detector on exchangeable ranks:
  // a guarantee (docs/detection.md). 10 … 10¹². MakeDetectors sets it to the
  // run's target over the budget.
  double target_frames = 2e6;
  // Shift, in pooled robust standard deviations, that counts as healthy; > 0
  // because real ranks are not perfectly exchangeable. 0 … 10.
  double margin = 0.25;
  // Least shift that counts, in the metric's own unit (loss; log of the
  // squared norm; cosine; log of the step time).
  double loss_floor = 0;
  double log_norm_floor = 0;
  double cosine_floor = 0;
  // A tenth: hosts differ by some percent for ever, and a rank that writes the
  // log is a little slower.
  double log_step_time_floor = 0.1;
  // Frames whose spread is pooled for the margin and the gross rule.
  int spread_frames = 256;
  // Frames of history before bets are placed; the first ones are noisy.
  int warmup_frames = 8;
  // Frames of history before the gross rule may fire.
  int gross_after_frames = 100;
  // Resolved after so many frames without new evidence.
  int resolve_after_frames = 256;
};

// Of DispersionShift and of DirectionShift (group_shift.h).
struct GroupShiftOptions {
  // Share of the run's false alarms that this kind may make; > 0.
  double budget = 0.15;
  // Mean frames between false alarms, where its assumption holds; MakeDetectors
  // sets it to the run's target over the budget.
  double target_frames = 1e6 / 0.15;
  // Least shift that counts: of the log of a spread, or of the log of the noise
  // scale. 0.3 is a third more or a quarter less. > 0, as no drift is a line.
  double effect = 0.3;
  // First frames of a run, which are like no others.
  int warmup_frames = 100;
  // Frames from which the next one is expected.
  int window_frames = 256;
  // Resolved after so many frames without new evidence.
  int resolve_after_frames = 128;
  // After so many frames a shift that lasts is what is normal.
  int absorb_frames = 1024;
};

class ReferenceCurve;

struct DetectOptions {
  KindSettings kinds = DefaultKindSettings();
  // Mean frames between false alarms of all statistical kinds of a run
  // together. Each gets its `budget` of it; together these are at most 1, and
  // the share of a kind that is off is not used. 10 … 10¹².
  double target_frames = 1e6;
  RankOutlierOptions rank_outlier;
  GroupShiftOptions dispersion_shift;
  GroupShiftOptions direction_shift = {.effect = 0.5};
  // The run that this one is held against (group_values.h); null: none.
  std::shared_ptr<const ReferenceCurve> reference;
  // Consecutive frames in which ranks look identical before DuplicateShard.
  int duplicate_frames = 3;
  // Ranks whose losses correlate so much over so many frames have the same
  // data; 0.3 … 1 and 16 … 64. More frames: later, but surer with many ranks.
  double correlation = 0.7;
  int correlation_frames = 50;
  // Share of the run's false alarms that the correlation may make; > 0.
  double correlation_budget = 0.2;
  // Consecutive non-finite steps before NonFinite where a loss scaler is used.
  int scaler_overflow_steps = 5;
  // A rank is missing when others went on for so long without it.
  absl::Duration rank_missing_after = absl::Seconds(30);
  // A rank lags when its reports come so much later than the median rank's.
  // Shorter than frames wait for a rank, or it is missing first.
  absl::Duration rank_lagging_after = absl::Seconds(5);
  // A run is stalled when no report came for so long. Longer: evaluations and
  // checkpoints pass unnoticed; shorter: a hang costs less.
  absl::Duration run_stalled_after = absl::Minutes(10);
  // Sources that disagree on the world size for so long are a FactMismatch.
  absl::Duration world_size_after = absl::Seconds(30);
};

// Empty if good, else one line naming field, value and allowed range.
std::string Validate(const DetectOptions& options);

// The detectors of the kinds that are not off, in the order in which they
// judge.
std::vector<std::unique_ptr<Detector>> MakeDetectors(
    const DetectOptions& options);

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_DETECTOR_H_
