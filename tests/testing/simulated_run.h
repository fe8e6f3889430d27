// A synthetic run together with its judgement, in one process.
#ifndef MUSTER_TESTS_TESTING_SIMULATED_RUN_H_
#define MUSTER_TESTS_TESTING_SIMULATED_RUN_H_

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/alert/alert.h"
#include "daemon/consistency/measure.h"
#include "daemon/detect/detector.h"
#include "daemon/runs/judge.h"
#include "daemon/simulate/generator.h"

namespace muster::testing {

// Feeds each step to consistency and to the judge. Without sketches the cosines
// and the averages behind the noise scale are the generator's (scalar streams).
class SimulatedRun {
 public:
  SimulatedRun(simulate::Options options, const detect::DetectOptions& detect)
      : generator_(std::move(options)), judge_(detect, alert::AlertOptions()) {}

  // Judges the next step; the changes of alerts that it brought.
  const std::vector<alert::Alert>& Next() {
    changes_.clear();
    step_ = &generator_.Next();
    const frames::Frame& frame = step_->frame;
    measures_ = baseline_.Measure(frame);
    if (!step_->cosines.empty()) {
      measures_.gradient_square = step_->gradient_square;
      measures_.covariance_trace = step_->covariance_trace;
      for (size_t i = 0; i < step_->cosines.size(); ++i) {
        if (std::isnan(step_->cosines[i])) continue;
        measures_.ranks[i].gradient_cosine = step_->cosines[i];
      }
    }
    judge_.TakeMeasured(frame, measures_, absl::UnixEpoch(), changes_);
    judge_.TakeEvent(frames::Tick{frame.closed_at}, absl::UnixEpoch(),
                     changes_);
    return changes_;
  }

  const simulate::Step& step() const { return *step_; }
  const consistency::Measures& measures() const { return measures_; }
  const runs::Judge& judge() const { return judge_; }

 private:
  simulate::Generator generator_;
  consistency::Baseline baseline_;
  runs::Judge judge_;
  const simulate::Step* step_ = nullptr;
  consistency::Measures measures_;
  std::vector<alert::Alert> changes_;
};

}  // namespace muster::testing

#endif  // MUSTER_TESTS_TESTING_SIMULATED_RUN_H_
