// How an observation of device memory is dealt to the rows of sums.h.
#ifndef MUSTER_CLIENT_CUDA_PARTITION_H_
#define MUSTER_CLIENT_CUDA_PARTITION_H_

#include <algorithm>
#include <cstdint>

#include "client/src/sketch_hash.h"
#include "muster/sketch.h"

namespace muster::cuda {

// Blocks whose elements an item loads before it adds the first.
inline constexpr uint32_t kBatchBlocks = 8;
// Batches summed in float32 before the sums move into double: 64 blocks.
inline constexpr uint32_t kBatchesPerFold = 8;
// Fewer would make the update of the row dearer than the elements.
inline constexpr uint64_t kMinBatchesPerRow = 4;
// Buckets of all rows: 8 MiB of doubles, and 131,072 items or more, each with
// 128 bytes on their way, which is what saturates a large GPU's memory.
inline constexpr uint32_t kBuckets = 1 << 20;
// Rows that one thread of the reduction adds up.
inline constexpr uint32_t kRadix = 32;
// Elements of one observation at most, far above any memory.
inline constexpr uint64_t kMaxElements = uint64_t{1} << 48;

constexpr uint32_t MaxRows(uint32_t width) { return kBuckets / width; }
constexpr uint32_t RowDoubles(uint32_t width) { return width + width / 2; }
constexpr uint32_t Groups(uint32_t rows) {
  return (rows + kRadix - 1) / kRadix;
}

// Elements of 16 bytes.
constexpr uint32_t VectorElements(DataType type) {
  return type == DataType::kFloat32 ? 4 : 8;
}

// Elements [begin, end) of the flat gradient, begin < end.
struct Observation {
  uint64_t base;  // address that element 0 would have, modulo 2^64
  uint64_t begin;
  uint64_t end;
  uint64_t permutation_key;
  uint64_t sign_key;
  uint64_t batches;  // that the elements' blocks fill, the last one not wholly
  uint32_t width;
  uint32_t rows;
};

// Requires 1 ≤ count ≤ kMaxElements and offset + count ≤ 2⁶⁴ − 1.
inline Observation MakeObservation(uint64_t offset, const void* data,
                                   uint64_t count, DataType type,
                                   const SketchSpec& spec) {
  const uint64_t blocks =
      (offset + count - 1) / spec.width - offset / spec.width + 1;
  const uint64_t batches = (blocks + kBatchBlocks - 1) / kBatchBlocks;
  const uint64_t filled = (batches + kMinBatchesPerRow - 1) / kMinBatchesPerRow;
  return {.base = reinterpret_cast<uintptr_t>(data) -
                  offset * (16 / VectorElements(type)),
          .begin = offset,
          .end = offset + count,
          .permutation_key = PermutationKey(spec.seed),
          .sign_key = SignKey(spec.seed),
          .batches = batches,
          .width = spec.width,
          .rows = static_cast<uint32_t>(
              std::min<uint64_t>(filled, MaxRows(spec.width)))};
}

}  // namespace muster::cuda

#endif  // MUSTER_CLIENT_CUDA_PARTITION_H_
