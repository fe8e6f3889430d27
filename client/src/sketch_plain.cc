#include <algorithm>
#include <cmath>
#include <cstring>

#include "client/src/half.h"
#include "client/src/sketch_hash.h"
#include "client/src/sketch_kernel.h"

namespace muster {

void LoadFloats(const unsigned char* data, size_t count, DataType type,
                float* floats) {
  if (type == DataType::kFloat32) {
    std::memcpy(floats, data, count * sizeof(float));
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, data + i * sizeof(bits), sizeof(bits));
    floats[i] = type == DataType::kFloat16 ? HalfBitsToFloat(bits)
                                           : BFloat16BitsToFloat(bits);
  }
}

size_t AddPiecesPlain(const PieceRun& run, PartialSums* partial,
                      double* squared_norm) {
  const size_t count = PieceElements(run.width);
  for (size_t piece = 0; piece < run.pieces; ++piece) {
    float x[kMaxPieceElements];
    LoadFloats(run.data + piece * count * SizeOf(run.type), count, run.type, x);
    float squares = 0;
    for (size_t i = 0; i < count; ++i) squares += x[i] * x[i];
    if (!std::isfinite(squares)) return piece;
    if (squares >= kSmallestTrustedSquares) {
      *squared_norm += squares;
    } else {
      for (size_t i = 0; i < count; ++i) {
        *squared_norm += static_cast<double>(x[i]) * x[i];
      }
    }
    const uint64_t offset = run.offset + piece * count;
    const uint32_t permutation =
        LanePermutation(run.permutation_key, offset / run.width, run.width);
    float* region = partial->regions[TargetRegion(run, offset)];
    for (size_t i = 0; i < count; ++i) {
      const uint64_t word =
          SignWord(run.sign_key, (offset + i) / kSignWordBits);
      const bool negative = (word >> ((offset + i) % kSignWordBits)) & 1;
      region[i ^ (permutation % count)] += negative ? -x[i] : x[i];
    }
  }
  return run.pieces;
}

void FoldPartialPlain(DataType, uint32_t width, const PartialSums& partial,
                      double* values) {
  const size_t count = PieceElements(width);
  for (uint32_t i = 0; i < width; ++i) {
    values[i] += partial.regions[i / count][i % count];
  }
  for (uint32_t i = 0; i < width; i += count) {
    std::fill_n(partial.regions[i / count], count, 0.0f);
  }
}

}  // namespace muster
