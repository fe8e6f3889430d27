// Turns what is observed of one step into one encoded report.
#ifndef MUSTER_CLIENT_SRC_STEP_RECORDER_H_
#define MUSTER_CLIENT_SRC_STEP_RECORDER_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "client/src/client_status.h"
#include "client/src/coverage.h"
#include "client/src/device_sketch.h"
#include "client/src/parameter_record.h"
#include "client/src/report_ring.h"
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
  // Requires: spec.IsValid(). Borrows `device` and `status`.
  StepRecorder(const SketchSpec& spec, DeviceSketch* device,
               ClientStatus* status)
      : device_(device), status_(status), sketch_(spec), parameters_(spec) {}

  // As Client::Observe, at `now`. Ignored if offset + count is beyond 2⁶⁴ − 1.
  void Observe(uint64_t offset, const void* data, size_t count, DataType type,
               std::chrono::steady_clock::time_point now);
  // As Client::ObserveParameters and Client::ObserveChange; likewise.
  void ObserveParameters(uint32_t group, uint64_t offset, const void* data,
                         size_t count, DataType type);
  void ObserveChange(uint64_t offset, const void* data, size_t count,
                     DataType type);

  // As Client::ObserveDevice.
  bool ObserveDevice(uint64_t offset, const void* data, size_t count,
                     DataType type, const DeviceStream& where);

  // Ends the step and encodes its report into `*report`, all but what a device
  // still computes, of which report->open then tells. Fields of `end` that are
  // out of range are left out, and with a gradient scale the norm and the
  // sketch. `wall_time` is for display, `now` for the step's times.
  void EndStep(const StepEnd& end, uint64_t sequence,
               std::chrono::system_clock::time_point wall_time,
               std::chrono::steady_clock::time_point now, Report* report);

  // Forgets what was observed since the last step. The next report tells no
  // time of the rank's own: ranks may have waited for each other since.
  void GiveUpStep();

 private:
  void Discard();
  // From the end of the step before to the last observation, less what was
  // waited, seconds.
  std::optional<double> ComputeSeconds(const StepEnd& end) const;
  // Asks the device for what it has of this step; true if the report is to say
  // what is in `sketch_`.
  bool EndOnDevice(const StepEnd& end, double scale, OpenPart* open);

  DeviceSketch* const device_;
  ClientStatus* const status_;
  Sketch sketch_;
  Coverage coverage_;
  bool on_device_ = false;   // some of the gradient, also if it was skipped
  uint32_t zero_calls_ = 0;  // of Observe, with nothing but zeros
  ParameterRecord parameters_;
  std::optional<std::chrono::steady_clock::time_point> last_end_;
  // last_end_, unless a step was given up since.
  std::optional<std::chrono::steady_clock::time_point> compute_start_;
  // Of Observe, in this step.
  std::optional<std::chrono::steady_clock::time_point> last_observation_;
  // Kept for their memory.
  std::string sketch_bytes_;
  std::string parameter_bytes_;
  std::string change_bytes_;
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_STEP_RECORDER_H_
