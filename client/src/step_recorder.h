// Turns what is observed of one step into one encoded report.
#ifndef MUSTER_CLIENT_SRC_STEP_RECORDER_H_
#define MUSTER_CLIENT_SRC_STEP_RECORDER_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "client/src/coverage.h"
#include "muster/client.h"
#include "muster/sketch.h"

namespace muster {

// Number by which this client's streams call their only source.
inline constexpr uint32_t kSource = 1;
inline constexpr uint64_t kMaxStep = uint64_t{1} << 62;
inline constexpr size_t kMaxSampleIds = 4096;

// Empty if all of `end` can be sent, else one line that names the first field
// that cannot, its value and what is allowed.
std::string ValidateStepEnd(const StepEnd& end);

// Sketch and coverage of the step in progress. Thread-compatible.
class StepRecorder {
 public:
  // Requires: spec.IsValid().
  explicit StepRecorder(const SketchSpec& spec) : sketch_(spec) {}

  // As Client::Observe. Ignored if offset + count is beyond 2⁶⁴ − 1.
  void Observe(uint64_t offset, const void* data, size_t count, DataType type);

  // Ends the step and encodes its report into `*bytes`. Fields of `end` that
  // are out of range are left out, and with a gradient scale the norm and the
  // sketch. `wall_time` is for display, `now` for the
  // step's duration.
  void EndStep(const StepEnd& end, uint64_t sequence,
               std::chrono::system_clock::time_point wall_time,
               std::chrono::steady_clock::time_point now, std::string* bytes);

  // Forgets what was observed since the last step.
  void Discard();

 private:
  Sketch sketch_;
  Coverage coverage_;
  std::optional<std::chrono::steady_clock::time_point> last_end_;
  std::string sketch_bytes_;  // kept for its memory
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_STEP_RECORDER_H_
