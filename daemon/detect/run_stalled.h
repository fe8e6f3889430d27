// All reports of a run stop.
#ifndef MUSTER_DAEMON_DETECT_RUN_STALLED_H_
#define MUSTER_DAEMON_DETECT_RUN_STALLED_H_

#include <cstdint>
#include <vector>

#include "daemon/detect/detector.h"

namespace muster::detect {

// A run that has had a frame is stalled when no report came for longer than its
// deadline: `run_stalled_after`, or twice the longest pause that it came back
// from, up to four times `run_stalled_after`. So an evaluation or a checkpoint
// that is longer than the deadline is told once, and not again. One finding,
// subject "reports", of the run as a whole; said again at each tick, cleared by
// the next frame, by a new process (which is given the deadline anew: it has to
// load and compile) and by the end of the run. Before its first frame a run is
// starting, and after all ranks said Goodbye it has ended: neither is stalled.
// A job that is killed without Goodbye is.
//
// Reports that wait in an open frame for an absent rank are not seen: a
// deadline below frames.timeout means little.
//
// Assumption: a run that trains reports. Guarantee: none of a rate; the
// deadline is the user's.
//
// Thread-compatible.
class RunStalled : public Detector {
 public:
  explicit RunStalled(const DetectOptions& options);

  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  struct Source {
    uint64_t incarnation = 0;
    bool connected = false;
    bool departed = false;
  };

  void OnTick(frames::Instant now, std::vector<Finding>& out);
  absl::Duration Deadline() const;
  void Clear(std::vector<Finding>& out);
  Source& SourceOf(uint32_t rank);

  const absl::Duration after_;
  std::vector<Source> sources_;  // by rank
  bool running_ = false;         // it has had a frame and has not ended
  bool resumed_ = false;         // the pause before the next frame says nothing
  frames::Instant last_arrival_;
  absl::Duration longest_pause_;
  bool raised_ = false;
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_RUN_STALLED_H_
