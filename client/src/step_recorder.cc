#include "client/src/step_recorder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "client/src/gradient_fields.h"
#include "client/src/wire.h"

namespace muster {
namespace {

bool IsPositive(double value) { return std::isfinite(value) && value > 0; }
bool IsNotNegative(double value) { return std::isfinite(value) && value >= 0; }

// True if all elements are 0 or −0. Reads no farther than the first that is
// not.
bool IsAllZero(const void* data, size_t count, DataType type) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  const bool wide = type == DataType::kFloat32;
  const uint64_t magnitudes = wide ? 0x7FFFFFFF7FFFFFFF : 0x7FFF7FFF7FFF7FFF;
  size_t left = count * SizeOf(type);
  for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof(word));
    if ((word & magnitudes) != 0) return false;
    bytes += sizeof(word);
  }
  uint64_t rest = 0;
  std::memcpy(&rest, bytes, left);
  return (rest & magnitudes) == 0;
}

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
  if (end.learning_rate && !IsNotNegative(*end.learning_rate)) {
    return "learning_rate = " + std::to_string(*end.learning_rate) +
           ": must be finite and at least 0";
  }
  if (!IsNotNegative(end.waited_seconds)) {
    return "waited_seconds = " + std::to_string(end.waited_seconds) +
           ": must be finite and at least 0";
  }
  if (end.epoch && *end.epoch > kMaxStep) {
    return "epoch = " + std::to_string(*end.epoch) + ": must be 0 to 2^62";
  }
  if (end.sample_ids.size() > kMaxSampleIds) {
    return "sample_ids: " + std::to_string(end.sample_ids.size()) +
           " of them; at most 4096 are kept";
  }
  return "";
}

void StepRecorder::Observe(uint64_t offset, const void* data, size_t count,
                           DataType type,
                           std::chrono::steady_clock::time_point now) {
  if (count > std::numeric_limits<uint64_t>::max() - offset) return;
  last_observation_ = now;
  coverage_.Add(offset, offset + count);
  if (count > 0 && IsAllZero(data, count, type)) ++zero_calls_;
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

void StepRecorder::ObserveParameters(uint32_t group, uint64_t offset,
                                     const void* data, size_t count,
                                     DataType type) {
  if (count > std::numeric_limits<uint64_t>::max() - offset) return;
  parameters_.AddParameters(group, offset, data, count, type);
}

void StepRecorder::ObserveChange(uint64_t offset, const void* data,
                                 size_t count, DataType type) {
  if (count > std::numeric_limits<uint64_t>::max() - offset) return;
  parameters_.AddChange(offset, data, count, type);
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
  if (end.learning_rate && IsNotNegative(*end.learning_rate)) {
    set(end.learning_rate, &report.has_learning_rate, &report.learning_rate);
  }
  const double scale = end.gradient_scale.value_or(1);
  if (end.gradient_scale && IsPositive(scale)) {
    set(scale, &report.has_gradient_scale, &report.gradient_scale);
  }
  const std::optional<uint64_t> fingerprint = end.replica_fingerprint
                                                  ? end.replica_fingerprint
                                                  : parameters_.fingerprint();
  report.has_replica_fingerprint = fingerprint.has_value();
  report.replica_fingerprint = fingerprint.value_or(0);
  report.replica_groups_count =
      static_cast<pb_size_t>(parameters_.groups().size());
  report.sample_ids_count =
      static_cast<pb_size_t>(std::min(end.sample_ids.size(), kMaxSampleIds));
  // nanopb reads them only.
  report.sample_ids = const_cast<uint64_t*>(end.sample_ids.data());
  report.replica_groups = const_cast<uint64_t*>(parameters_.groups().data());
  parameters_.EncodeParametersTo(&parameter_bytes_);
  report.parameter_sketch = BytesField(&parameter_bytes_);
  set(parameters_.change_norm(), &report.has_local_distance,
      &report.local_distance);
  parameters_.EncodeChangeTo(&change_bytes_);
  report.local_sketch = BytesField(&change_bytes_);
  report.has_epoch = end.epoch && *end.epoch <= kMaxStep;
  if (report.has_epoch) report.epoch = *end.epoch;
  report.has_sample_limit = end.sample_limit.has_value();
  report.sample_limit = end.sample_limit.value_or(0);
  report.sample_ids_are_batches = end.sample_ids_are_batches;

  report.multiple_backward = coverage_.overlapped();
  // What a device has seen is not counted there.
  report.has_zero_gradient_tensors =
      coverage_.element_count() > 0 && !on_device_;
  report.zero_gradient_tensors = zero_calls_;
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
  set(ComputeSeconds(end), &report.has_compute_seconds,
      &report.compute_seconds);
  last_end_ = compute_start_ = now;
  to->bytes.clear();
  AppendMessage(muster_v1_StepReport_fields, &report, &to->bytes);
  Discard();
}

std::optional<double> StepRecorder::ComputeSeconds(const StepEnd& end) const {
  // Of a device only the queueing was seen; before a second backward pass and
  // before a late observation ranks have waited for each other.
  if (!compute_start_ || !last_observation_ || on_device_ ||
      coverage_.overlapped() || end.observed_late ||
      !IsNotNegative(end.waited_seconds)) {
    return std::nullopt;
  }
  const std::chrono::duration<double> taken =
      *last_observation_ - *compute_start_;
  // Another thread may have looked at the clock just before the step's end.
  return std::max(taken.count() - end.waited_seconds, 0.0);
}

void StepRecorder::GiveUpStep() {
  Discard();
  compute_start_.reset();
}

void StepRecorder::Discard() {
  if (on_device_) device_->Discard();
  on_device_ = false;
  sketch_.Reset();
  coverage_.Reset();
  zero_calls_ = 0;
  last_observation_.reset();
  parameters_.Reset();
}

}  // namespace muster
