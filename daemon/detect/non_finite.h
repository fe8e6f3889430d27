// A rank's loss or gradient holds NaN or infinity.
#ifndef MUSTER_DAEMON_DETECT_NON_FINITE_H_
#define MUSTER_DAEMON_DETECT_NON_FINITE_H_

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/detect/detector.h"

namespace muster::detect {

// Fires at once; under a loss scaler (the report states its scale) only after
// `scaler_overflow_steps` reports of the rank in a row, because a scaler grows
// its scale until a step overflows and skips that step. One finding for each
// rank, subject "loss" or "gradient"; it is said again at each such step and
// cleared after 16 reports of the rank without. When NaN spreads through the
// all-reduce, each rank's evidence says which rank was first.
//
// Assumption: none. Statistic: the count of NaN and infinite values, which the
// client takes over all elements, not over the sketch. Guarantee: exact.
//
// Thread-compatible.
class NonFinite : public Detector {
 public:
  explicit NonFinite(const DetectOptions& options);

  void OnFrame(const JudgedFrame& frame, std::vector<Finding>& out) override;
  void OnEvent(const frames::Event& event, std::vector<Finding>& out) override;

 private:
  enum class Subject { kLoss, kGradient };
  // Life of one (subject, rank) that has been non-finite of late.
  struct Episode {
    int consecutive = 0;  // non-finite reports in a row
    int finite = 0;       // finite reports in a row
    bool raised = false;
    uint64_t first_step = 0;
  };
  using Key = std::pair<Subject, uint32_t>;

  void Judge(Subject subject, const frames::Frame& frame,
             const frames::Report& report, std::vector<Finding>& out);
  void Clear(const Key& key, const Episode& episode, uint32_t attempt,
             uint64_t step, std::vector<Finding>& out) const;

  const int scaler_overflow_steps_;
  // Finite ranks have no entry, so that a healthy frame costs one look a rank.
  std::map<Key, Episode> episodes_;
  uint32_t attempt_ = 0;
  uint64_t last_step_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_NON_FINITE_H_
