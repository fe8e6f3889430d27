// 16 bytes of a gradient at a time: loaded, signed, permuted, read as numbers.
#ifndef MUSTER_CLIENT_CUDA_WORDS_H_
#define MUSTER_CLIENT_CUDA_WORDS_H_

#include <bit>
#include <cstdint>

#include "client/cuda/partition.h"
#include "client/src/half.h"
#include "client/src/sketch_hash.h"
#include "muster/sketch.h"

#if defined(__CUDACC__)
#define MUSTER_UNROLL _Pragma("unroll")
#else
#define MUSTER_UNROLL
#endif

namespace muster::cuda {

// 16 bytes of input.
struct Words {
  uint32_t word[4];
};

// Address is a multiple of 16.
MUSTER_HOST_DEVICE inline Words LoadAligned(uint64_t address) {
#if defined(__CUDA_ARCH__)
  const uint4 loaded = __ldg(reinterpret_cast<const uint4*>(address));
  return {{loaded.x, loaded.y, loaded.z, loaded.w}};
#else
  return *reinterpret_cast<const Words*>(address);
#endif
}

// The 16 bytes at `address`, read as two aligned pieces.
MUSTER_HOST_DEVICE inline Words LoadAcross(uint64_t address) {
  const uint32_t past = address & 15;
  const Words low = LoadAligned(address - past);
  const Words high = LoadAligned(address - past + 16);
  uint32_t word[8];
  MUSTER_UNROLL
  for (int i = 0; i < 4; ++i) {
    word[i] = low.word[i];
    word[i + 4] = high.word[i];
  }
  // Constant indices alone, so that a GPU keeps the array in registers.
  if (past & 8) {
    MUSTER_UNROLL
    for (int i = 0; i < 6; ++i) word[i] = word[i + 2];
  }
  if (past & 4) {
    MUSTER_UNROLL
    for (int i = 0; i < 5; ++i) word[i] = word[i + 1];
  }
  const uint32_t bits = past % 4 * 8;
  Words words;
  MUSTER_UNROLL
  for (int i = 0; i < 4; ++i) {
    const uint64_t pair = uint64_t{word[i + 1]} << 32 | word[i];
    words.word[i] = static_cast<uint32_t>(pair >> bits);
  }
  return words;
}

// Elements [index, index + n) where they are observed, zeros elsewhere; reads
// no byte that is not observed.
template <DataType type>
MUSTER_HOST_DEVICE Words LoadObserved(const Observation& seen, uint64_t index) {
  constexpr uint32_t kElements = VectorElements(type);
  constexpr uint32_t kBytes = 16 / kElements;
  Words words = {};
  MUSTER_UNROLL
  for (uint32_t i = 0; i < kElements; ++i) {
    if (index + i < seen.begin || index + i >= seen.end) continue;
    const auto* bytes = reinterpret_cast<const unsigned char*>(
        seen.base + (index + i) * kBytes);
    MUSTER_UNROLL
    for (uint32_t byte = 0; byte < kBytes; ++byte) {
      words.word[i * kBytes / 4] |= uint32_t{bytes[byte]}
                                    << ((i * kBytes + byte) % 4 * 8);
    }
  }
  return words;
}

MUSTER_HOST_DEVICE inline void SwapIf(bool swap, uint32_t& a, uint32_t& b) {
  const uint32_t first = swap ? b : a;
  b = swap ? a : b;
  a = first;
}

// Negates element i where bit i of `signs` is set, then moves element i to
// place i ^ low.
template <DataType type>
MUSTER_HOST_DEVICE void SignAndPermute(uint32_t signs, uint32_t low,
                                       Words* words) {
  uint32_t* word = words->word;
  if constexpr (type == DataType::kFloat32) {
    MUSTER_UNROLL
    for (int i = 0; i < 4; ++i) word[i] ^= (signs >> i) << 31;
  } else {
    MUSTER_UNROLL
    for (int i = 0; i < 4; ++i) {
      // The two lowest bits of an 8-bit number, at 15 and 31.
      word[i] ^= ((signs >> (2 * i)) * 0x40008000u) & 0x80008000u;
      if (low & 1) word[i] = word[i] << 16 | word[i] >> 16;
    }
    low >>= 1;
  }
  SwapIf(low & 1, word[0], word[1]);
  SwapIf(low & 1, word[2], word[3]);
  SwapIf(low & 2, word[0], word[2]);
  SwapIf(low & 2, word[1], word[3]);
}

MUSTER_HOST_DEVICE inline float FloatOfHalf(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  float value;
  asm("cvt.f32.f16 %0, %1;"
      : "=f"(value)
      : "h"(static_cast<unsigned short>(bits)));
  return value;
#else
  return HalfBitsToFloat(static_cast<uint16_t>(bits));
#endif
}

template <DataType type>
MUSTER_HOST_DEVICE float Element(const Words& words, uint32_t i) {
  if constexpr (type == DataType::kFloat32) {
    return std::bit_cast<float>(words.word[i]);
  } else if constexpr (type == DataType::kBFloat16) {
    const uint32_t word = words.word[i / 2];
    return std::bit_cast<float>(i % 2 == 0 ? word << 16 : word & 0xFFFF0000u);
  } else {
    return FloatOfHalf(words.word[i / 2] >> (i % 2 * 16) & 0xFFFF);
  }
}

}  // namespace muster::cuda

#endif  // MUSTER_CLIENT_CUDA_WORDS_H_
