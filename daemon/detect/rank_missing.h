// A rank's reports stop while the others go on.
#ifndef MUSTER_DAEMON_DETECT_RANK_MISSING_H_
#define MUSTER_DAEMON_DETECT_RANK_MISSING_H_

#include <vector>

#include "daemon/detect/detector.h"

namespace muster::detect {

// A rank is missing when it is absent from the newest 3 frames or more and the
// others' reports in the newest of them arrived `rank_missing_after` or more
// after those of the last frame that had it (of the attempt's first frame, if
// none had). Both clocks are arrivals at the daemon, so that a run whose ranks
// all die at once, with some reports still unsent, has nobody missing: nobody
// went on. Frames cut off by a new attempt or by the end of the run do not
// count; ranks that said Goodbye are not missing. One finding for each rank,
// subject "reports", cleared by the rank's next report, by a new attempt and
// by the end of the run.
//
// Assumption: a rank that trains reports. Guarantee: none of a rate; a client
// cut off for longer than `rank_missing_after` is missing.
//
// Thread-compatible.
class RankMissing : public Detector {
 public:
  explicit RankMissing(const DetectOptions& options);

  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  struct RankState {
    bool departed = false;
    bool disconnected = false;
    bool seen = false;  // in this attempt
    bool raised = false;
    frames::Instant last_arrival;  // of the last frame that had it
    uint64_t absent_frames = 0;    // since then
    uint64_t first_absent_step = 0;
  };

  void Raise(uint32_t rank, const RankState& state, const frames::Frame& frame,
             std::vector<Finding>& out) const;
  // Says that a rank that was missing is not; nothing if it was not.
  void Clear(uint32_t rank, std::vector<Finding>& out);
  void ClearAll(std::vector<Finding>& out);
  RankState& State(uint32_t rank);

  const absl::Duration rank_missing_after_;
  std::vector<RankState> ranks_;  // by rank
  uint32_t attempt_ = 0;          // of the newest frame, 0 before it
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_RANK_MISSING_H_
