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

// Where the elements of one block go.
struct BlockPlan {
  uint64_t sign_key;
  uint32_t lane_mask;    // width - 1
  uint32_t permutation;  // r_b
};

// Adds elements [offset, offset + count) of one block to `sums`, of any length
// and alignment.
void ProjectEach(uint64_t offset, const float* x, size_t count,
                 const BlockPlan& plan, double* sums) {
  while (count > 0) {
    const uint64_t bit = offset % kSignWordBits;
    const uint64_t sign_word = SignWord(plan.sign_key, offset / kSignWordBits);
    const size_t n = std::min<size_t>(count, kSignWordBits - bit);
    const uint64_t lane = offset & plan.lane_mask;
    for (size_t i = 0; i < n; ++i) {
      const bool negative = (sign_word >> (bit + i)) & 1;
      const double value = x[i];
      sums[(lane + i) ^ plan.permutation] += negative ? -value : value;
    }
    offset += n;
    x += n;
    count -= n;
  }
}

// Four lanes, which every 64-bit target has. The low two bits of a permutation
// shuffle the lanes of a quad, the others pick the quad.
using Quad = float __attribute__((vector_size(16)));
using QuadBits = uint32_t __attribute__((vector_size(16)));

// As ProjectEach, for whole sign words; kShuffle is permutation mod 4.
template <uint32_t kShuffle>
void ProjectWords(uint64_t offset, const float* x, size_t count,
                  const BlockPlan& plan, float* sums) {
  constexpr uint32_t kQuads = kSignWordBits / 4;
  constexpr QuadBits kLaneBits = {1, 2, 4, 8};
  const uint32_t word_permutation = plan.permutation & ~(kSignWordBits - 1);
  const uint32_t quad_permutation = plan.permutation % kSignWordBits / 4;
  for (size_t done = 0; done < count; done += kSignWordBits) {
    uint64_t sign_word =
        SignWord(plan.sign_key, (offset + done) / kSignWordBits);
    const uint64_t lane = (offset + done) & plan.lane_mask;
    float* word_sums = sums + (lane ^ word_permutation);
    for (uint32_t quad = 0; quad < kQuads; ++quad, sign_word >>= 4) {
      QuadBits bits;
      std::memcpy(&bits, x + done + 4 * quad, sizeof(bits));
      const uint32_t signs = static_cast<uint32_t>(sign_word);
      const QuadBits chosen = QuadBits{signs, signs, signs, signs} & kLaneBits;
      bits ^= (chosen == kLaneBits) & 0x80000000;
      bits = __builtin_shufflevector(bits, bits, 0 ^ kShuffle, 1 ^ kShuffle,
                                     2 ^ kShuffle, 3 ^ kShuffle);
      float* target = word_sums + 4 * (quad ^ quad_permutation);
      Quad sum;
      std::memcpy(&sum, target, sizeof(sum));
      sum += std::bit_cast<Quad>(bits);
      std::memcpy(target, &sum, sizeof(sum));
    }
  }
}

void ProjectWords(uint64_t offset, const float* x, size_t count,
                  const BlockPlan& plan, float* sums) {
  switch (plan.permutation % 4) {
    case 0:
      return ProjectWords<0>(offset, x, count, plan, sums);
    case 1:
      return ProjectWords<1>(offset, x, count, plan, sums);
    case 2:
      return ProjectWords<2>(offset, x, count, plan, sums);
    default:
      return ProjectWords<3>(offset, x, count, plan, sums);
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
  const BlockPlan plan{sign_key_, spec_.width - 1, permutation};
  if (whole_block) {
    ProjectWords(offset, x, count, plan, partial_.data());
  } else {
    ProjectEach(offset, x, count, plan, values_.data());
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
  ProjectEach(offset, finite, count, {sign_key_, spec_.width - 1, permutation},
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
  std::string wire;
  EncodeTo(&wire);
  return wire;
}

void Sketch::EncodeTo(std::string* wire) const {
  wire->clear();
  if (nonfinite_count_ > 0 || squared_norm_ == 0) return;
  const double norm = std::sqrt(squared_norm_);
  wire->reserve(values_.size() * sizeof(uint16_t));
  for (double value : values_) {
    const uint16_t half = FloatToHalfBits(static_cast<float>(value / norm));
    wire->push_back(static_cast<char>(half & 0xFF));
    wire->push_back(static_cast<char>(half >> 8));
  }
}

uint16_t FloatToHalf(float value) { return FloatToHalfBits(value); }

float HalfToFloat(uint16_t half) { return HalfBitsToFloat(half); }

}  // namespace muster
