// The gradient sketch: a random projection of a long vector onto few numbers
// that keeps norms and angles. docs/sketch.md is its normative specification.
#ifndef MUSTER_SKETCH_H_
#define MUSTER_SKETCH_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace muster {

// Element type of an observed gradient.
enum class DataType : int {
  kFloat32 = 0,
  kFloat16 = 1,   // IEEE 754 binary16
  kBFloat16 = 2,  // upper half of a binary32
};

// Bytes of one element.
size_t SizeOf(DataType type);

// Parameters of a sketch. All ranks of a run must use the same.
struct SketchSpec {
  static constexpr uint32_t kVersion = 1;
  static constexpr uint32_t kMinWidth = 64;
  static constexpr uint32_t kMaxWidth = 65536;
  // One fixed default, so that runs stay comparable.
  static constexpr uint64_t kDefaultSeed = 0x6D75737465720001;  // "muster", 1

  // Numbers in a sketch, a power of two in 64 … 65536. The standard error of
  // the cosine of one pair is (1 − ρ²)/√width; the wire cost is 2·width bytes
  // a step.
  uint32_t width = 1024;
  uint64_t seed = kDefaultSeed;

  // True if width is allowed.
  bool IsValid() const;
};

// Sketches one vector, given in chunks of any length, at any offset, in any
// order. Beside the projection it keeps the exact squared norm and the number
// of elements that are NaN or infinite. Thread-compatible.
class Sketch {
 public:
  // Requires: spec.IsValid().
  explicit Sketch(const SketchSpec& spec);

  // Adds elements [offset, offset + count) of the flat vector. `data` need not
  // be aligned. Elements that are not finite are counted and left out of norm
  // and projection. Each element of a vector is to be added once.
  void Add(uint64_t offset, const void* data, size_t count, DataType type);

  // Adds what another sketch of the same spec, of other elements, has come to:
  // `values` has width() numbers. element_count() does not know of them.
  void AddSums(const double* values, double squared_norm,
               uint64_t nonfinite_count);

  // Starts a new vector.
  void Reset();

  // The projection, width() numbers.
  const std::vector<double>& values() const { return values_; }
  uint32_t width() const { return spec_.width; }
  // Sum of squares of the finite elements; inf only beyond the double range.
  double squared_norm() const { return squared_norm_; }
  // Elements that were NaN or infinite.
  uint64_t nonfinite_count() const { return nonfinite_count_; }
  // Elements added, non-finite ones included.
  uint64_t element_count() const { return element_count_; }

  // Wire form: values / ‖g‖ as IEEE half precision, little endian, 2·width
  // bytes. Empty if an element was not finite or the norm is 0.
  std::string Encode() const;
  // The same into `*wire`, whose memory is reused.
  void EncodeTo(std::string* wire) const;

 private:
  // Adds whole blocks, at most as many as float32 may sum.
  void AddBlocks(uint64_t offset, const unsigned char* bytes, size_t count,
                 DataType type);
  // Adds elements of one block that float32 may not sum: few, not finite, or
  // too large to be squared.
  void AddInDouble(uint64_t offset, const unsigned char* bytes, size_t count,
                   DataType type);

  const SketchSpec spec_;
  const uint64_t permutation_key_;  // K_A of the specification
  const uint64_t sign_key_;         // K_B
  std::vector<double> values_;
  std::vector<float> partial_;  // float32 sums, all 0 between calls
  double squared_norm_ = 0;
  uint64_t nonfinite_count_ = 0;
  uint64_t element_count_ = 0;
};

// IEEE 754 binary16 conversions, round to nearest even.
uint16_t FloatToHalf(float value);
float HalfToFloat(uint16_t half);

}  // namespace muster

#endif  // MUSTER_SKETCH_H_
