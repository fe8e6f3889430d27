// Whether what was just stated makes the run's past no measure of its present.
#ifndef MUSTER_DAEMON_DETECT_STATED_CHANGES_H_
#define MUSTER_DAEMON_DETECT_STATED_CHANGES_H_

#include <deque>
#include <map>
#include <string>

#include "daemon/frames/frame.h"

namespace muster::detect {

// Watches what ranks state of the optimizer's step, through the first rank that
// states it:
//   learning rate  (of the report, or the fact "learning_rate" or "lr"): news
//                  while it is more than a tenth away from what it was 32
//                  frames ago. A decay that is slower is drift, and no news.
//   weight b       (harmonic mean over ranks): news where the newest 4 frames
//                  lie apart from the up to 28 before by a fifth or more.
//                  Batches that differ from frame to frame are no news.
//   facts whose name has "batch" or "accumulation" in it: any other value.
// Thread-compatible. O(reports), but O(1) where the first rank states all.
class StatedChanges {
 public:
  // `log_weight`: log b of the frame. True if the past no longer counts.
  bool Take(const frames::Frame& frame, double log_weight);

 private:
  bool LearningRateChanged(const frames::Frame& frame);
  bool WeightChanged(double log_weight);
  bool FactsChanged(const frames::Frame& frame);

  std::deque<double> learning_rates_;             // newest last
  std::deque<double> log_weights_;                // newest last
  std::shared_ptr<const frames::FactSet> facts_;  // compared last
  std::map<std::string, std::string> stated_;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_STATED_CHANGES_H_
