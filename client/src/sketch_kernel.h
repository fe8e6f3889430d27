// The inner loop of the sketch: squares and projection of whole pieces of
// blocks, by the widest vectors of the processor.
#ifndef MUSTER_CLIENT_SRC_SKETCH_KERNEL_H_
#define MUSTER_CLIENT_SRC_SKETCH_KERNEL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "client/src/sketch_hash.h"
#include "muster/sketch.h"

namespace muster {

// Elements whose squares are summed in float32 at most.
inline constexpr size_t kMaxPieceElements = 1024;
// Blocks summed in float32 before the sums move into double. Elements that take
// this path are below 2^64 (their squares fit), so 64 of them stay finite.
inline constexpr size_t kBlocksPerFold = 64;
// Below this, a float32 sum of squares may have lost addends to underflow.
inline constexpr float kSmallestTrustedSquares = 0x1p-100f;
// Bytes to which the partial sums have to be aligned: the widest vector.
inline constexpr size_t kPartialAlignment = 64;

// A piece is a block, or 1024 elements of a longer one.
constexpr size_t PieceElements(uint32_t width) {
  return std::min<size_t>(width, kMaxPieceElements);
}

// Consecutive pieces of the flat gradient, at most kBlocksPerFold blocks.
struct PieceRun {
  const unsigned char* data;  // of any alignment
  DataType type;
  uint64_t offset;  // flat index of the first element, a multiple of a piece
  size_t pieces;
  uint32_t width;
  uint64_t permutation_key;
  uint64_t sign_key;
};

// The float32 sums of a fold, in regions of PieceElements(width) numbers, each
// aligned to kPartialAlignment. What is added to a region is written to the
// spare one, which takes its place only if all is well: sums never have to be
// taken back.
struct PartialSums {
  float* regions[SketchSpec::kMaxWidth / kMaxPieceElements];
  float* spare;  // of any content
};

// The region that the piece whose first element has flat index `offset` is
// added to.
constexpr size_t TargetRegion(const PieceRun& run, uint64_t offset) {
  return ((offset & (run.width - 1)) ^
          LanePermutation(run.permutation_key, offset / run.width, run.width)) /
         kMaxPieceElements;
}

// Adds the projection of the pieces to `partial`, and their squares to
// `squared_norm`. Ends before the first piece whose squares have no finite
// float32 sum; returns the number of pieces added. The order of the numbers
// within a region depends on the type and on the processor: what one call has
// left there goes through FoldPartial before a call with another type.
size_t AddPieces(const PieceRun& run, PartialSums* partial,
                 double* squared_norm);

// Adds the regions, of elements of `type`, to `values`, and clears them.
void FoldPartial(DataType type, uint32_t width, const PartialSums& partial,
                 double* values);

// The instruction sets of which one is chosen, as bits of Highway's targets.
int64_t KernelTargets();

// As AddPieces and FoldPartial, in plain C++: what the vector code is held to,
// and what runs where there are no vectors.
size_t AddPiecesPlain(const PieceRun& run, PartialSums* partial,
                      double* squared_norm);
void FoldPartialPlain(DataType type, uint32_t width, const PartialSums& partial,
                      double* values);

// Elements data[0 … count) as float32, exactly; `data` of any alignment.
void LoadFloats(const unsigned char* data, size_t count, DataType type,
                float* floats);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_SKETCH_KERNEL_H_
