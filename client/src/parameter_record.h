// What a step's report says of the parameters: fingerprints of their groups, a
// sketch of them, and a sketch of their change since ranks last agreed.
#ifndef MUSTER_CLIENT_SRC_PARAMETER_RECORD_H_
#define MUSTER_CLIENT_SRC_PARAMETER_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "muster/sketch.h"

namespace muster {

inline constexpr uint32_t kMaxReplicaGroups = 32;

// Memory for the sketches is taken at the first use. Thread-compatible.
class ParameterRecord {
 public:
  // Requires: spec.IsValid().
  explicit ParameterRecord(const SketchSpec& spec) : spec_(spec) {}

  // As Client::ObserveParameters; ignored if there is no such group.
  void AddParameters(uint32_t group, uint64_t offset, const void* data,
                     size_t count, DataType type);
  // As Client::ObserveChange.
  void AddChange(uint64_t offset, const void* data, size_t count,
                 DataType type);

  // Fingerprint of each group since Reset(), 0 for a group without calls; empty
  // without parameters.
  const std::vector<uint64_t>& groups() const { return groups_; }
  // Of all groups; absent without parameters.
  std::optional<uint64_t> fingerprint() const;
  // Norm of the change; absent if there is none, or it is not finite.
  std::optional<double> change_norm() const;
  // The sketches as they are, as binary32, little endian. Empty if nothing was
  // added, or a number is not finite.
  void EncodeParametersTo(std::string* wire) const;
  void EncodeChangeTo(std::string* wire) const;

  void Reset();

 private:
  const SketchSpec spec_;
  std::optional<Sketch> parameters_;
  std::optional<Sketch> change_;
  std::vector<uint64_t> groups_;  // fingerprint of each
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_PARAMETER_RECORD_H_
