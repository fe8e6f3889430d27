// The inner loop of fingerprints, by the widest vectors of the processor.
#ifndef MUSTER_CLIENT_SRC_FINGERPRINT_KERNEL_H_
#define MUSTER_CLIENT_SRC_FINGERPRINT_KERNEL_H_

#include <cstddef>
#include <cstdint>

namespace muster {

// 32-bit words of a block, and of its keys.
inline constexpr size_t kFingerprintWords = 256;
inline constexpr size_t kFingerprintBytes = 4 * kFingerprintWords;

// The sum over `blocks` blocks at `data` of mix64(inner ⊕ mix64(key + (b +
// 1)·A)) with b counted from `first`, modulo 2⁶⁴ (docs/sketch.md,
// "Fingerprints").
uint64_t SumOfBlocks(const unsigned char* data, size_t blocks, uint64_t first,
                     uint64_t key);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_FINGERPRINT_KERNEL_H_
