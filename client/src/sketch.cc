#include "muster/sketch.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "client/src/half.h"
#include "client/src/sketch_encode.h"
#include "client/src/sketch_hash.h"
#include "client/src/sketch_kernel.h"

namespace muster {
namespace {

// partial_ has room for the regions and the spare one, from its first address
// of the alignment that the kernel asks for.
constexpr size_t kPartialSlack = kPartialAlignment / sizeof(float);

PartialSums RegionsOf(std::vector<float>& partial, uint32_t width) {
  const auto address = reinterpret_cast<uintptr_t>(partial.data());
  const uintptr_t past = address % kPartialAlignment;
  float* region = partial.data() +
                  (past == 0 ? 0 : (kPartialAlignment - past) / sizeof(float));
  PartialSums sums;
  for (size_t i = 0; i < width; i += PieceElements(width)) {
    sums.regions[i / PieceElements(width)] = region + i;
  }
  sums.spare = region + width;
  return sums;
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
      partial_(spec.width + PieceElements(spec.width) + kPartialSlack) {}

void Sketch::Add(uint64_t offset, const void* data, size_t count,
                 DataType type) {
  element_count_ += count;
  const auto* bytes = static_cast<const unsigned char*>(data);
  const size_t element_bytes = SizeOf(type);
  while (count > 0) {
    const uint64_t lane = offset % spec_.width;
    size_t n;
    if (lane == 0 && count >= spec_.width) {
      n = std::min<size_t>(count / spec_.width, kBlocksPerFold) * spec_.width;
      AddBlocks(offset, bytes, n, type);
    } else {
      // A fold of all buckets would cost more than it saves.
      n = std::min<size_t>({count, spec_.width - lane, kMaxPieceElements});
      AddInDouble(offset, bytes, n, type);
    }
    offset += n;
    bytes += n * element_bytes;
    count -= n;
  }
}

void Sketch::AddBlocks(uint64_t offset, const unsigned char* bytes,
                       size_t count, DataType type) {
  const size_t piece = PieceElements(spec_.width);
  const size_t piece_bytes = piece * SizeOf(type);
  PartialSums partial = RegionsOf(partial_, spec_.width);
  for (size_t pieces = count / piece; pieces > 0;) {
    const size_t added = AddPieces(
        {bytes, type, offset, pieces, spec_.width, permutation_key_, sign_key_},
        &partial, &squared_norm_);
    pieces -= added;
    offset += added * piece;
    bytes += added * piece_bytes;
    if (pieces > 0) {
      AddInDouble(offset, bytes, piece, type);
      --pieces;
      offset += piece;
      bytes += piece_bytes;
    }
  }
  FoldPartial(type, spec_.width, partial, values_.data());
  std::fill_n(partial.spare, piece, 0.0f);
}

void Sketch::AddInDouble(uint64_t offset, const unsigned char* bytes,
                         size_t count, DataType type) {
  float x[kMaxPieceElements];
  LoadFloats(bytes, count, type, x);
  const uint32_t permutation =
      LanePermutation(permutation_key_, offset / spec_.width, spec_.width);
  const uint32_t lane = offset & (spec_.width - 1);
  uint64_t sign_word = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t bit = (offset + i) % kSignWordBits;
    if (i == 0 || bit == 0) {
      sign_word = SignWord(sign_key_, (offset + i) / kSignWordBits);
    }
    if (!std::isfinite(x[i])) {
      ++nonfinite_count_;
      continue;
    }
    const double value = x[i];
    squared_norm_ += value * value;
    values_[(lane + i) ^ permutation] +=
        (sign_word >> bit) & 1 ? -value : value;
  }
}

void Sketch::AddSums(const double* values, double squared_norm,
                     uint64_t nonfinite_count) {
  for (size_t i = 0; i < values_.size(); ++i) values_[i] += values[i];
  squared_norm_ += squared_norm;
  nonfinite_count_ += nonfinite_count;
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
  wire->resize(values_.size() * sizeof(uint16_t));
  EncodeHalves(values_.data(), values_.size(), norm,
               reinterpret_cast<unsigned char*>(wire->data()));
}

uint16_t FloatToHalf(float value) { return FloatToHalfBits(value); }

float HalfToFloat(uint16_t half) { return HalfBitsToFloat(half); }

}  // namespace muster
