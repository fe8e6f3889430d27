// What a sketch is compared with: one bare pass over the same memory.
#ifndef MUSTER_TESTS_BENCH_SUM_OF_SQUARES_H_
#define MUSTER_TESTS_BENCH_SUM_OF_SQUARES_H_

#include <cstddef>

#include "muster/sketch.h"

namespace muster::bench {

// How far ahead of its reads a sum asks for memory. 0: it leaves that to the
// processor.
inline constexpr size_t kPrefetchBytes[] = {0, 1024, 4096};
inline constexpr int kSumVariants = 3;

// Sum of the squares of float32 or bfloat16 elements with the processor's
// widest vectors and eight independent sums, in variant 0 … kSumVariants − 1
// of kPrefetchBytes. Requires: `bytes` is a multiple of 1024.
float SumOfSquares(const void* data, size_t bytes, DataType type, int variant);

}  // namespace muster::bench

#endif  // MUSTER_TESTS_BENCH_SUM_OF_SQUARES_H_
