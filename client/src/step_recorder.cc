#include "client/src/step_recorder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace muster {
namespace {

bool IsPositive(double value) { return std::isfinite(value) && value > 0; }
bool IsLearningRate(double value) { return std::isfinite(value) && value >= 0; }

// True if all half-precision numbers are 0 or −0, as when two elements that
// cancel share a lane: such a sketch has no direction, and would be refused.
bool IsAllZero(const std::string& sketch) {
  for (size_t i = 0; i + 1 < sketch.size(); i += 2) {
    if (sketch[i] != 0 || (sketch[i + 1] & 0x7F) != 0) return false;
  }
  return true;
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

void StepRecorder::EndStep(const StepEnd& end, uint64_t sequence,
                           std::chrono::system_clock::time_point wall_time,
                           std::chrono::steady_clock::time_point now,
                           std::string* bytes) {
  report_.Clear();
  report_.set_source(kSource);
  report_.set_sequence(sequence);
  report_.set_step(end.step);
  if (end.loss) report_.set_loss(*end.loss);
  if (end.weight && IsPositive(*end.weight)) report_.set_weight(*end.weight);
  if (end.learning_rate && IsLearningRate(*end.learning_rate)) {
    report_.set_learning_rate(*end.learning_rate);
  }
  double scale = 1;
  if (end.gradient_scale && IsPositive(*end.gradient_scale)) {
    scale = *end.gradient_scale;
    report_.set_gradient_scale(scale);
  }
  if (end.replica_fingerprint) {
    report_.set_replica_fingerprint(*end.replica_fingerprint);
  }
  const size_t ids = std::min(end.sample_ids.size(), kMaxSampleIds);
  report_.mutable_sample_ids()->Add(end.sample_ids.begin(),
                                    end.sample_ids.begin() + ids);

  report_.set_nonfinite_count(sketch_.nonfinite_count());
  report_.set_elements_observed(coverage_.element_count());
  report_.set_multiple_backward(coverage_.overlapped());
  if (coverage_.element_count() > 0 && sketch_.nonfinite_count() == 0) {
    const double norm = std::sqrt(sketch_.squared_norm()) / scale;
    if (std::isfinite(norm)) {
      report_.set_gradient_norm(norm);
      // A norm that the scale takes below the double range counts as 0.
      if (norm > 0) sketch_.EncodeTo(report_.mutable_sketch());
      if (IsAllZero(report_.sketch())) report_.mutable_sketch()->clear();
    }
  }

  report_.set_wall_time_unix_nanos(
      std::chrono::duration_cast<std::chrono::nanoseconds>(
          wall_time.time_since_epoch())
          .count());
  if (last_end_) {
    report_.set_step_duration_seconds(
        std::chrono::duration<double>(now - *last_end_).count());
  }
  last_end_ = now;
  report_.SerializeToString(bytes);
  Discard();
}

void StepRecorder::Discard() {
  sketch_.Reset();
  coverage_.Reset();
}

}  // namespace muster
