// Ranks whose losses rise and fall together train on the same data.
#ifndef MUSTER_DAEMON_DETECT_CORRELATED_LOSSES_H_
#define MUSTER_DAEMON_DETECT_CORRELATED_LOSSES_H_

#include <cstdint>
#include <vector>

#include "daemon/detect/detector.h"
#include "daemon/detect/residual_windows.h"

namespace muster::detect {

// The part of DuplicateShard that sees through dropout and augmentation, which
// make losses differ in value: pairs whose residuals (residual_windows.h)
// correlate by `correlation` or more over `correlation_frames` frames. Groups
// are what pairs connect. Subject "loss_correlation"; said again by each window
// that finds the group, cleared by three in a row that do not. What finds a
// part of a group that stands is that group; a larger one takes its place.
//
// Assumption (null): losses of ranks that draw their own samples are
// independent given the frame. Guarantee: for Gaussian losses at most n /
// target raises expected in n frames, by the union over pairs; the correlation
// asked for grows with their number (0.70 for 8 ranks, 0.78 for 1,024). Kept
// residuals make heavier tails Gaussian enough (measured in
// correlated_losses_test). Silent where all ranks have the same data: there is
// nothing to tell them by.
//
// Thread-compatible.
class CorrelatedLosses : public Detector {
 public:
  // `target_frames`: mean frames between false alarms.
  CorrelatedLosses(const DetectOptions& options, double target_frames);

  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  struct Standing {
    std::vector<uint32_t> ranks;
    uint64_t first_step = 0;
    int unseen_windows = 0;  // in a row
  };

  // Judges the pairs of a window.
  void JudgePairs(std::vector<Finding>& out);
  void Raise(const std::vector<uint32_t>& group, double correlation,
             std::vector<Finding>& out);
  Finding MakeFinding(const Standing& standing, Phase phase) const;

  const size_t frames_;
  ResidualWindows windows_;
  std::vector<ResidualPair> pairs_;  // of the window that is looked at
  std::vector<Standing> standing_;
  std::vector<RankValue> losses_;
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_CORRELATED_LOSSES_H_
