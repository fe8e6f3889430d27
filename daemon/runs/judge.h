// The part of a run that measures and judges: one ordered stream of events in,
// numbers and changes of alerts out. Deterministic in that stream.
#ifndef MUSTER_DAEMON_RUNS_JUDGE_H_
#define MUSTER_DAEMON_RUNS_JUDGE_H_

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "daemon/alert/alert.h"
#include "daemon/consistency/measure.h"
#include "daemon/detect/detector.h"
#include "daemon/detect/loss_band.h"
#include "daemon/frames/frame.h"

namespace muster::runs {

// Thread-compatible; owned by its run. `wall` only stamps alerts for display.
class Judge {
 public:
  Judge(const detect::DetectOptions& detect, const alert::AlertOptions& alert);

  // Measures and judges a closed frame.
  std::shared_ptr<const consistency::Measures> TakeFrame(
      const frames::Frame& frame, absl::Time wall,
      std::vector<alert::Alert>& changes);
  // Any other event.
  void TakeEvent(const frames::Event& event, absl::Time wall,
                 std::vector<alert::Alert>& changes);

  const alert::AlertBook& alerts() const { return alerts_; }

 private:
  void TakeFindings(absl::Time wall, std::vector<alert::Alert>& changes);

  std::vector<std::unique_ptr<detect::Detector>> detectors_;
  consistency::Baseline baseline_;
  detect::LossBand loss_band_;
  bool silent_ = true;  // of the newest frame
  alert::AlertBook alerts_;
  std::vector<detect::Finding> findings_;
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_JUDGE_H_
