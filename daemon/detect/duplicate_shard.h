// Ranks train on the same data.
#ifndef MUSTER_DAEMON_DETECT_DUPLICATE_SHARD_H_
#define MUSTER_DAEMON_DETECT_DUPLICATE_SHARD_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "daemon/detect/detector.h"

namespace muster::detect {

// Fires when the same ranks look identical (duplicate_groups.h) in
// `duplicate_frames` frames in a row. One finding for each group, subject
// "data", naming all its ranks; said again while it lasts, and cleared after
// three times as many frames without. A frame without one of the ranks breaks
// their row, but not an alert that stands.
//
// Assumption: ranks that draw their own samples do not agree in loss, norm and
// direction to five digits. It fails where the data of different ranks are
// equal by intent. Guarantee: none of a rate.
//
// Thread-compatible.
class DuplicateShard : public Detector {
 public:
  explicit DuplicateShard(const DetectOptions& options);

  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  struct Standing {
    std::vector<uint32_t> ranks;
    uint64_t first_step = 0;
    uint64_t seen_frame = 0;
  };
  // For each rank the first rank of its group in one frame; kAlone if it had
  // none. Empty if nobody had one.
  using Labels = std::vector<uint32_t>;

  Labels LabelRanks(const JudgedFrame& judged) const;
  // Groups of ranks that have shared their group in all kept frames.
  std::vector<std::vector<uint32_t>> LastingGroups() const;
  void Take(const std::vector<uint32_t>& group, const frames::Frame& frame,
            std::vector<Finding>& out);
  void Clear(const Standing& standing, Phase phase,
             std::vector<Finding>& out) const;

  const uint64_t duplicate_frames_;
  std::deque<Labels> labels_;         // newest last, at most duplicate_frames_
  std::deque<uint64_t> label_steps_;  // their steps
  std::vector<Standing> standing_;
  uint64_t frame_ = 0;
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_DUPLICATE_SHARD_H_
