// Frames for detectors' tests: measures given directly, without reports.
#ifndef MUSTER_TESTS_DAEMON_DETECT_JUDGED_H_
#define MUSTER_TESTS_DAEMON_DETECT_JUDGED_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "daemon/consistency/measure.h"
#include "daemon/consistency/measures.h"
#include "daemon/detect/detector.h"
#include "daemon/frames/frame.h"

namespace muster::detect {

// A frame of `world_size` ranks, all present, to be filled in by the test.
struct MeasuredFrame {
  frames::Frame frame;
  consistency::Measures measures;

  explicit MeasuredFrame(uint32_t world_size) {
    frame.attempt = measures.attempt = 1;
    frame.world_size = measures.ranks_expected = world_size;
    measures.ranks_reporting = world_size;
    measures.ranks.resize(world_size);
    for (uint32_t rank = 0; rank < world_size; ++rank) {
      measures.ranks[rank].rank = rank;
    }
  }

  void SetStep(uint64_t step) { frame.step = measures.step = step; }
};

inline std::vector<Finding> Judge(Detector& detector,
                                  const MeasuredFrame& frame) {
  std::vector<Finding> findings;
  detector.OnFrame({frame.frame, frame.measures}, findings);
  return findings;
}

// For detectors that look at the reports, and at who looks like whom, only.
inline std::vector<Finding> Judge(Detector& detector,
                                  const frames::Frame& frame) {
  consistency::Measures measures;
  measures.lookalikes = consistency::FindLookalikes(frame);
  std::vector<Finding> findings;
  detector.OnFrame({frame, measures}, findings);
  return findings;
}

inline std::vector<Finding> Take(Detector& detector,
                                 const frames::Event& event) {
  std::vector<Finding> findings;
  detector.OnEvent(event, findings);
  return findings;
}

inline uint64_t CountRaises(const std::vector<Finding>& findings) {
  return std::count_if(
      findings.begin(), findings.end(),
      [](const Finding& finding) { return finding.phase == Phase::kRaise; });
}

using Ranks = std::vector<uint32_t>;

}  // namespace muster::detect

#endif  // MUSTER_TESTS_DAEMON_DETECT_JUDGED_H_
