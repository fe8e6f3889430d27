// What a GPU adds up for the sketch of docs/sketch.md: the code that a thread
// of it runs, in C++ that a CPU runs as well and to the same bits.
//
// Memory. The sums of a step lie in rows. A row has 3·width/2 doubles: `width`
// buckets, then width/4 sums of squares, then width/4 counts of elements that
// are not finite. Its parts are cut into items of 16 bytes of input: item v of
// a row owns the buckets that elements [v·n, v·n + n) of each block may fall
// into, n = 4 for float32 and 8 else, and its own sum of squares and count.
// Nobody else touches them, so there are neither atomics nor barriers.
//
// Partition. An observation's blocks are dealt to rows in runs of whole
// batches, by offset, count and width alone. Each item walks through its row's
// blocks in order. The number and shape of the threads that run the items
// therefore do not show in any bit of the result.
#ifndef MUSTER_CLIENT_CUDA_SUMS_H_
#define MUSTER_CLIENT_CUDA_SUMS_H_

#include <cmath>
#include <cstdint>

#include "client/cuda/partition.h"
#include "client/cuda/words.h"
#include "client/src/sketch_hash.h"
#include "muster/sketch.h"

namespace muster::cuda {

// What one item adds up.
template <DataType type>
struct ItemSums {
  static constexpr uint32_t kElements = VectorElements(type);

  float partial[kElements] = {};  // of at most 64 blocks
  double sum[kElements] = {};
  double squares = 0;
  double nonfinite = 0;

  // Elements of one block, signed and permuted. The squares are summed as in
  // section "Numbers" of docs/sketch.md.
  MUSTER_HOST_DEVICE void Add(const Words& words) {
    constexpr float kLargest = 0x1.FFFFFEp127f;
    constexpr float kSmallestTrusted = 0x1p-100f;
    float x[kElements];
    float square = 0;
    MUSTER_UNROLL
    for (uint32_t i = 0; i < kElements; ++i) {
      x[i] = Element<type>(words, i);
      square = std::fma(x[i], x[i], square);
    }
    // A NaN passes neither comparison.
    if (square >= kSmallestTrusted && square <= kLargest) {
      squares += square;
      MUSTER_UNROLL
      for (uint32_t i = 0; i < kElements; ++i) partial[i] += x[i];
      return;
    }
    const bool small = square <= kLargest;
    MUSTER_UNROLL
    for (uint32_t i = 0; i < kElements; ++i) {
      const double value = x[i];
      if (!(std::fabs(x[i]) <= kLargest)) {
        ++nonfinite;
        continue;
      }
      squares = std::fma(value, value, squares);
      if (small) {
        partial[i] += x[i];
      } else {
        sum[i] += value;
      }
    }
  }

  MUSTER_HOST_DEVICE void Fold() {
    MUSTER_UNROLL
    for (uint32_t i = 0; i < kElements; ++i) {
      sum[i] += partial[i];
      partial[i] = 0;
    }
  }
};

// The hashes of one batch of blocks, computed where they are used. On a GPU
// eight neighbouring threads share the work (runtime.cu).
class OwnHashes {
 public:
  MUSTER_HOST_DEVICE OwnHashes(const Observation& seen, uint32_t first_lane)
      : seen_(seen), first_lane_(first_lane) {}

  // The batch begins at `block`.
  MUSTER_HOST_DEVICE void Begin(uint64_t block) { block_ = block; }
  // r_b of the batch's block i.
  MUSTER_HOST_DEVICE uint32_t Permutation(uint32_t i) const {
    return LanePermutation(seen_.permutation_key, block_ + i, seen_.width);
  }
  // The sign word of the 64 elements of block i that hold the item's.
  MUSTER_HOST_DEVICE uint64_t Signs(uint32_t i) const {
    return SignWord(seen_.sign_key, ((block_ + i) * seen_.width +
                                     (first_lane_ ^ Permutation(i))) /
                                        kSignWordBits);
  }

 private:
  const Observation& seen_;
  const uint32_t first_lane_;
  uint64_t block_ = 0;
};

// Adds what row `row` is dealt of the observation, where it falls into item
// `item`, to `sums`, the row's RowDoubles(width) numbers. `aligned`: base is a
// multiple of 16. Requires row < seen.rows, item < width / n.
template <DataType type, bool aligned, typename Hashes>
MUSTER_HOST_DEVICE void SumItem(const Observation& seen, uint32_t row,
                                uint32_t item, Hashes hashes, double* sums) {
  constexpr uint32_t kElements = VectorElements(type);
  constexpr uint32_t kBytes = 16 / kElements;
  const uint32_t first_lane = item * kElements;
  const uint64_t first_block = seen.begin / seen.width;
  const uint64_t last_block = (seen.end - 1) / seen.width;
  const uint64_t begin = seen.batches * row / seen.rows;
  const uint64_t end = seen.batches * (row + 1) / seen.rows;

  ItemSums<type> mine;
  for (uint64_t batch = begin; batch < end; ++batch) {
    if (batch != begin && (batch - begin) % kBatchesPerFold == 0) mine.Fold();
    const uint64_t block = first_block + batch * kBatchBlocks;
    hashes.Begin(block);
    // Index of the first of the elements that block i sends to this item.
    const auto index = [&](uint32_t i, uint32_t permutation) {
      const uint32_t lane = (first_lane ^ permutation) & ~(kElements - 1);
      return (block + i) * seen.width + lane;
    };
    const auto add = [&](uint32_t i, uint32_t permutation, Words words) {
      const uint32_t lane = (first_lane ^ permutation) & ~(kElements - 1);
      const uint32_t signs =
          static_cast<uint32_t>(hashes.Signs(i) >> (lane % kSignWordBits)) &
          ((1u << kElements) - 1);
      SignAndPermute<type>(signs, permutation & (kElements - 1), &words);
      mine.Add(words);
    };
    // Neither the first block nor the last, so that all elements are observed,
    // and a vector's neighbours too.
    if (block > first_block && block + kBatchBlocks <= last_block) {
      uint32_t permutation[kBatchBlocks];
      Words words[kBatchBlocks];
      MUSTER_UNROLL
      for (uint32_t i = 0; i < kBatchBlocks; ++i) {
        permutation[i] = hashes.Permutation(i);
        const uint64_t address = seen.base + index(i, permutation[i]) * kBytes;
        words[i] = aligned ? LoadAligned(address) : LoadAcross(address);
      }
      MUSTER_UNROLL
      for (uint32_t i = 0; i < kBatchBlocks; ++i) {
        add(i, permutation[i], words[i]);
      }
    } else {
      for (uint32_t i = 0; i < kBatchBlocks && block + i <= last_block; ++i) {
        const uint32_t permutation = hashes.Permutation(i);
        add(i, permutation, LoadObserved<type>(seen, index(i, permutation)));
      }
    }
  }
  mine.Fold();

  MUSTER_UNROLL
  for (uint32_t i = 0; i < kElements; ++i) sums[first_lane + i] += mine.sum[i];
  double* squares = sums + seen.width;
  squares[first_lane / 4] += mine.squares;
  if (mine.nonfinite > 0) {
    squares[seen.width / 4 + first_lane / 4] += mine.nonfinite;
  }
}

// One column of one group of rows: adds rows [group · kRadix, …) of `rows`, in
// order, into to[column] of row `group`. `clear`: leaves zeros behind.
MUSTER_HOST_DEVICE inline void ReduceColumn(double* from, uint32_t rows,
                                            uint32_t row_doubles,
                                            uint32_t group, uint32_t column,
                                            bool clear, double* to) {
  const uint32_t begin = group * kRadix;
  const uint32_t end = begin + kRadix < rows ? begin + kRadix : rows;
  double total = 0;
  for (uint32_t row = begin; row < end; ++row) {
    double* place = from + uint64_t{row} * row_doubles + column;
    total += *place;
    if (clear) *place = 0;
  }
  to[uint64_t{group} * row_doubles + column] = total;
}

}  // namespace muster::cuda

#endif  // MUSTER_CLIENT_CUDA_SUMS_H_
