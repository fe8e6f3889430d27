// Where an element of the flat gradient lands in a sketch, and with which sign:
// the hash functions of docs/sketch.md, for every kernel (host or device).
#ifndef MUSTER_CLIENT_SRC_SKETCH_HASH_H_
#define MUSTER_CLIENT_SRC_SKETCH_HASH_H_

#include <cstdint>

#if defined(__CUDACC__)
#define MUSTER_HOST_DEVICE __host__ __device__
#else
#define MUSTER_HOST_DEVICE
#endif

namespace muster {

// Elements that share one sign word.
inline constexpr uint64_t kSignWordBits = 64;

inline constexpr uint64_t kPermutationIncrement = 0x9E3779B97F4A7C15;  // A
inline constexpr uint64_t kSignIncrement = 0xD1B54A32D192ED03;         // B

inline constexpr uint64_t kMixFirst = 0xBF58476D1CE4E5B9;
inline constexpr uint64_t kMixSecond = 0x94D049BB133111EB;

// The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast splittable
// pseudorandom number generators", OOPSLA 2014, with Stafford's variant 13).
MUSTER_HOST_DEVICE constexpr uint64_t Mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * kMixFirst;
  z = (z ^ (z >> 27)) * kMixSecond;
  return z ^ (z >> 31);
}

// K_A, the key of the lane permutations.
MUSTER_HOST_DEVICE constexpr uint64_t PermutationKey(uint64_t seed) {
  return Mix64(seed + kPermutationIncrement);
}

// K_B, the key of the signs.
MUSTER_HOST_DEVICE constexpr uint64_t SignKey(uint64_t seed) {
  return Mix64(seed + kSignIncrement);
}

// r_b: lane j of block `block` is added to bucket j ^ r_b. `width` is a power
// of two.
MUSTER_HOST_DEVICE constexpr uint32_t LanePermutation(uint64_t permutation_key,
                                                      uint64_t block,
                                                      uint32_t width) {
  return static_cast<uint32_t>(
      Mix64(permutation_key + (block + 1) * kPermutationIncrement) &
      (width - 1));
}

// Signs of elements 64·group … 64·group + 63: bit i is set where element
// 64·group + i is subtracted.
MUSTER_HOST_DEVICE constexpr uint64_t SignWord(uint64_t sign_key,
                                               uint64_t group) {
  return Mix64(sign_key + (group + 1) * kPermutationIncrement);
}

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_SKETCH_HASH_H_
