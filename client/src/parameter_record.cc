#include "client/src/parameter_record.h"

#include <bit>
#include <cmath>

#include "client/src/fingerprint.h"
#include "client/src/sketch_hash.h"

namespace muster {
namespace {

void EncodeFloats(const std::optional<Sketch>& sketch, std::string* wire) {
  wire->clear();
  if (!sketch || sketch->element_count() == 0 ||
      sketch->nonfinite_count() > 0) {
    return;
  }
  for (const double value : sketch->values()) {
    const auto number = static_cast<float>(value);
    if (!std::isfinite(number)) {
      wire->clear();
      return;
    }
    const auto bits = std::bit_cast<uint32_t>(number);
    for (int shift = 0; shift < 32; shift += 8) {
      wire->push_back(static_cast<char>(bits >> shift & 0xFF));
    }
  }
}

Sketch& Made(const SketchSpec& spec, std::optional<Sketch>& sketch) {
  return sketch ? *sketch : sketch.emplace(spec);
}

}  // namespace

void ParameterRecord::AddParameters(uint32_t group, uint64_t offset,
                                    const void* data, size_t count,
                                    DataType type) {
  if (group >= kMaxReplicaGroups) return;
  if (group >= groups_.size()) groups_.resize(group + 1);
  groups_[group] += Fingerprint(offset, data, count * SizeOf(type));
  Made(spec_, parameters_).Add(offset, data, count, type);
}

void ParameterRecord::AddChange(uint64_t offset, const void* data, size_t count,
                                DataType type) {
  Made(spec_, change_).Add(offset, data, count, type);
}

std::optional<uint64_t> ParameterRecord::fingerprint() const {
  if (groups_.empty()) return std::nullopt;
  uint64_t all = 0;
  for (size_t group = 0; group < groups_.size(); ++group) {
    all += Mix64(groups_[group] + (group + 1) * kPermutationIncrement);
  }
  return all;
}

std::optional<double> ParameterRecord::change_norm() const {
  if (!change_ || change_->element_count() == 0 ||
      change_->nonfinite_count() > 0) {
    return std::nullopt;
  }
  const double norm = std::sqrt(change_->squared_norm());
  return std::isfinite(norm) ? std::optional<double>(norm) : std::nullopt;
}

void ParameterRecord::EncodeParametersTo(std::string* wire) const {
  EncodeFloats(parameters_, wire);
}

void ParameterRecord::EncodeChangeTo(std::string* wire) const {
  EncodeFloats(change_, wire);
}

void ParameterRecord::Reset() {
  groups_.clear();
  if (parameters_) parameters_->Reset();
  if (change_) change_->Reset();
}

}  // namespace muster
