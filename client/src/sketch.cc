#include "muster/sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "client/src/half.h"
#include "client/src/sketch_hash.h"

namespace muster {
namespace {

// Elements converted and projected while they are in the first-level cache. No
// piece crosses a block.
constexpr size_t kPieceElements = 1024;
// Blocks summed in float32 before the sums move into double. Elements that take
// this path are below 2^64 (their squares fit), so 64 of them stay finite.
constexpr int kBlocksPerFold = 64;
// Below this, a float32 sum of squares may have lost addends to underflow.
constexpr float kSmallestTrustedSquares = 0x1p-100f;

// Elements data[0 … count) as float32: in place where they can be read there,
// else converted into `buffer`.
const float* Load(const void* data, size_t count, DataType type,
                  float* buffer) {
  if (type == DataType::kFloat32) {
    if (reinterpret_cast<uintptr_t>(data) % alignof(float) == 0) {
      return static_cast<const float*>(data);
    }
    std::memcpy(buffer, data, count * sizeof(float));
    return buffer;
  }
  uint16_t bits[kPieceElements];
  std::memcpy(bits, data, count * sizeof(uint16_t));
  if (type == DataType::kFloat16) {
    for (size_t i = 0; i < count; ++i) buffer[i] = HalfBitsToFloat(bits[i]);
  } else {
    for (size_t i = 0; i < count; ++i) buffer[i] = BFloat16BitsToFloat(bits[i]);
  }
  return buffer;
}

float SumOfSquares(const float* x, size_t count) {
  // Independent sums vectorise without leave to reassociate.
  constexpr size_t kLanes = 16;
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += x[i + lane] * x[i + lane];
    }
  }
  float total = 0;
  for (; i < count; ++i) total += x[i] * x[i];
  for (float sum : sums) total += sum;
  return total;
}

float WithSign(float x, uint64_t sign_word, uint64_t bit) {
  const uint32_t sign = static_cast<uint32_t>((sign_word >> bit) & 1) << 31;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(x) ^ sign);
}

// Adds elements [offset, offset + count) of one block to `sums`.
template <typename Sum>
void Project(uint64_t offset, const float* x, size_t count, uint32_t width,
             uint32_t permutation, uint64_t sign_key, Sum* sums) {
  const uint64_t lane_mask = width - 1;
  while (count > 0) {
    const uint64_t bit = offset % kSignWordBits;
    const uint64_t sign_word = SignWord(sign_key, offset / kSignWordBits);
    const size_t n = std::min<size_t>(count, kSignWordBits - bit);
    const uint64_t lane = offset & lane_mask;
    for (size_t i = 0; i < n; ++i) {
      sums[(lane + i) ^ permutation] += WithSign(x[i], sign_word, bit + i);
    }
    offset += n;
    x += n;
    count -= n;
  }
}

}  // namespace

size_t SizeOf(DataType type) {
  return type == DataType::kFloat32 ? sizeof(float) : sizeof(uint16_t);
}

bool SketchSpec::IsValid() const {
  return width >= kMinWidth && width <= kMaxWidth && std::has_single_bit(width);
}

Sketch::Sketch(const SketchSpec& spec)
    : spec_(spec),
      permutation_key_(PermutationKey(spec.seed)),
      sign_key_(SignKey(spec.seed)),
      values_(spec.width),
      partial_(spec.width) {}

void Sketch::Add(uint64_t offset, const void* data, size_t count,
                 DataType type) {
  element_count_ += count;
  const auto* bytes = static_cast<const unsigned char*>(data);
  const size_t element_bytes = SizeOf(type);
  alignas(64) float buffer[kPieceElements];
  int unfolded_blocks = 0;
  while (count > 0) {
    const uint64_t block = offset / spec_.width;
    const uint32_t permutation =
        LanePermutation(permutation_key_, block, spec_.width);
    const size_t in_block =
        std::min<size_t>(count, spec_.width - offset % spec_.width);
    // Only whole blocks are worth a later fold of all buckets.
    const bool whole = in_block == spec_.width;
    for (size_t done = 0; done < in_block;) {
      const size_t n = std::min(in_block - done, kPieceElements);
      const float* x = Load(bytes, n, type, buffer);
      AddPiece(offset, x, n, permutation, whole);
      done += n;
      offset += n;
      bytes += n * element_bytes;
    }
    count -= in_block;
    if (whole && ++unfolded_blocks == kBlocksPerFold) {
      Fold();
      unfolded_blocks = 0;
    }
  }
  if (unfolded_blocks > 0) Fold();
}

void Sketch::AddPiece(uint64_t offset, const float* x, size_t count,
                      uint32_t permutation, bool whole_block) {
  const float squares = SumOfSquares(x, count);
  if (!std::isfinite(squares)) {
    AddExtremePiece(offset, x, count, permutation);
    return;
  }
  if (squares >= kSmallestTrustedSquares) {
    squared_norm_ += squares;
  } else {
    for (size_t i = 0; i < count; ++i) {
      squared_norm_ += static_cast<double>(x[i]) * x[i];
    }
  }
  if (whole_block) {
    Project(offset, x, count, spec_.width, permutation, sign_key_,
            partial_.data());
  } else {
    Project(offset, x, count, spec_.width, permutation, sign_key_,
            values_.data());
  }
}

void Sketch::AddExtremePiece(uint64_t offset, const float* x, size_t count,
                             uint32_t permutation) {
  float finite[kPieceElements];
  for (size_t i = 0; i < count; ++i) {
    const bool is_finite = std::isfinite(x[i]);
    finite[i] = is_finite ? x[i] : 0;
    nonfinite_count_ += is_finite ? 0 : 1;
    squared_norm_ += static_cast<double>(finite[i]) * finite[i];
  }
  Project(offset, finite, count, spec_.width, permutation, sign_key_,
          values_.data());
}

void Sketch::Fold() {
  for (size_t i = 0; i < partial_.size(); ++i) values_[i] += partial_[i];
  std::fill(partial_.begin(), partial_.end(), 0.0f);
}

void Sketch::Reset() {
  std::fill(values_.begin(), values_.end(), 0.0);
  squared_norm_ = 0;
  nonfinite_count_ = 0;
  element_count_ = 0;
}

std::string Sketch::Encode() const {
  if (nonfinite_count_ > 0 || squared_norm_ == 0) return {};
  const double norm = std::sqrt(squared_norm_);
  std::string wire;
  wire.reserve(values_.size() * sizeof(uint16_t));
  for (double value : values_) {
    const uint16_t half = FloatToHalfBits(static_cast<float>(value / norm));
    wire.push_back(static_cast<char>(half & 0xFF));
    wire.push_back(static_cast<char>(half >> 8));
  }
  return wire;
}

uint16_t FloatToHalf(float value) { return FloatToHalfBits(value); }

float HalfToFloat(uint16_t half) { return HalfBitsToFloat(half); }

}  // namespace muster
