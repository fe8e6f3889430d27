// A rank's reports come later than the others'.
#ifndef MUSTER_DAEMON_DETECT_RANK_LAGGING_H_
#define MUSTER_DAEMON_DETECT_RANK_LAGGING_H_

#include <cstdint>
#include <vector>

#include "daemon/detect/detector.h"

namespace muster::detect {

// A rank lags in a frame if its report arrived `rank_lagging_after` or more
// after the median rank's (the lower one of two), both at the daemon. It is
// named when it lags in 3 frames that have it in a row, and cleared by 3 in a
// row with less than half the delay, by a new attempt, and by the end of the
// run. One finding for each rank, subject "reports".
//
// Where ranks reduce at each step they make their reports together, and a
// report that is late was sent late; where they go on by themselves, the rank
// itself is behind. A rank that is behind by more than frames wait for
// (frames.timeout) is not in them at all: that is RankMissing's.
//
// Assumption: healthy ranks report within the deadline of each other.
// Guarantee: none of a rate; the deadline is the user's.
//
// Thread-compatible.
class RankLagging : public Detector {
 public:
  explicit RankLagging(const DetectOptions& options);

  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  struct RankState {
    uint32_t late_frames = 0;  // in a row
    uint32_t good_frames = 0;  // in a row
    uint64_t first_step = 0;   // of those late ones
    bool raised = false;
  };

  void Judge(uint32_t rank, double lag, std::vector<Finding>& out);
  void Clear(uint32_t rank, std::vector<Finding>& out);

  const double after_seconds_;
  std::vector<RankState> ranks_;  // by rank
  std::vector<double> delays_;    // of the frame being judged
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_RANK_LAGGING_H_
