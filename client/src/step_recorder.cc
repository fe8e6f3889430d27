#include "client/src/step_recorder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "client/src/gradient_fields.h"
#include "client/src/wire.h"

namespace muster {
namespace {

bool IsPositive(double value) { return std::isfinite(value) && value > 0; }
bool IsLearningRate(double value) { return std::isfinite(value) && value >= 0; }

}  // namespace

std::string ValidateStepEnd(const StepEnd& end) {
  if (end.step > kMaxStep) {
    return "step = " + std::to_string(end.step) + ": must be 0 to 2^62";
  }
  if (end.weight && !IsPositive(*end.weight)) {
    return "weight = " + std::to_string(*end.weight) +
           ": must be finite and above 0";
  }
  if (end.gradient_scale && !IsPositive(*end.gradient_scale)) {
    return "gradient_scale = " + std::to_string(*end.gradient_scale) +
           ": must be finite and above 0";
  }
  if (end.learning_rate && !IsLearningRate(*end.learning_rate)) {
    return "learning_rate = " + std::to_string(*end.learning_rate) +
           ": must be finite and at least 0";
  }
  if (end.sample_ids.size() > kMaxSampleIds) {
    return "sample_ids: " + std::to_string(end.sample_ids.size()) +
           " of them; at most 4096 are kept";
  }
  return "";
}

void StepRecorder::Observe(uint64_t offset, const void* data, size_t count,
                           DataType type) {
  if (count > std::numeric_limits<uint64_t>::max() - offset) return;
  coverage_.Add(offset, offset + count);
  sketch_.Add(offset, data, count, type);
}

bool StepRecorder::ObserveDevice(uint64_t offset, const void* data,
                                 size_t count, DataType type,
                                 const DeviceStream& where) {
  if (count > std::numeric_limits<uint64_t>::max() - offset) return true;
  const DeviceSketch::Observed observed =
      device_->Observe(offset, data, count, type, where);
  if (observed == DeviceSketch::Observed::kUnavailable) return false;
  coverage_.Add(offset, offset + count);
  on_device_ = true;
  return true;
}

bool StepRecorder::EndOnDevice(const StepEnd& end, double scale,
                               OpenPart* open) {
  open->ticket = 0;
  if (!on_device_ && !end.device_loss) return true;
  const auto pointer = [](const std::optional<DeviceNumber>& number) {
    return number ? &*number : nullptr;
  };
  const bool scaled = on_device_ && end.device_gradient_scale;
  open->ticket =
      device_->EndStep(pointer(end.device_loss),
                       scaled ? pointer(end.device_gradient_scale) : nullptr);
  open->scale_on_device = scaled;
  open->has_gradient = on_device_;
  if (!on_device_) return true;
  if (open->ticket == 0) {
    ++status_->device_dropped;
    return false;
  }
  open->elements = coverage_.element_count();
  open->scale = scale;
  open->host_values.clear();
  if (sketch_.element_count() > 0) {
    open->host_values = sketch_.values();
    open->host_squared_norm = sketch_.squared_norm();
    open->host_nonfinite_count = sketch_.nonfinite_count();
  }
  return false;
}

void StepRecorder::EndStep(const StepEnd& end, uint64_t sequence,
                           std::chrono::system_clock::time_point wall_time,
                           std::chrono::steady_clock::time_point now,
                           Report* to) {
  muster_v1_StepReport report = muster_v1_StepReport_init_zero;
  report.source = kSource;
  report.sequence = sequence;
  report.step = end.step;
  const auto set = [](std::optional<double> value, bool* has, double* field) {
    *has = value.has_value();
    *field = value.value_or(0);
  };
  set(end.loss, &report.has_loss, &report.loss);
  if (end.weight && IsPositive(*end.weight)) {
    set(end.weight, &report.has_weight, &report.weight);
  }
  if (end.learning_rate && IsLearningRate(*end.learning_rate)) {
    set(end.learning_rate, &report.has_learning_rate, &report.learning_rate);
  }
  const double scale = end.gradient_scale.value_or(1);
  if (end.gradient_scale && IsPositive(scale)) {
    set(scale, &report.has_gradient_scale, &report.gradient_scale);
  }
  report.has_replica_fingerprint = end.replica_fingerprint.has_value();
  report.replica_fingerprint = end.replica_fingerprint.value_or(0);
  report.sample_ids_count =
      static_cast<pb_size_t>(std::min(end.sample_ids.size(), kMaxSampleIds));
  // nanopb reads them only.
  report.sample_ids = const_cast<uint64_t*>(end.sample_ids.data());

  report.multiple_backward = coverage_.overlapped();
  if (EndOnDevice(end, scale, &to->open)) {
    SetGradient(sketch_, coverage_.element_count(), scale, &sketch_bytes_,
                &report);
  }

  report.wall_time_unix_nanos =
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          wall_time.time_since_epoch())
          .count();
  if (last_end_) {
    set(std::chrono::duration<double>(now - *last_end_).count(),
        &report.has_step_duration_seconds, &report.step_duration_seconds);
  }
  last_end_ = now;
  to->bytes.clear();
  AppendMessage(muster_v1_StepReport_fields, &report, &to->bytes);
  Discard();
}

void StepRecorder::Discard() {
  if (on_device_) device_->Discard();
  on_device_ = false;
  sketch_.Reset();
  coverage_.Reset();
}

}  // namespace muster
