#include "client/src/fingerprint.h"

#include <cstring>

#include "client/src/fingerprint_kernel.h"
#include "client/src/sketch_hash.h"

namespace muster {

uint64_t Fingerprint(uint64_t position, const void* data, size_t bytes) {
  const auto* begin = static_cast<const unsigned char*>(data);
  const uint64_t key = Mix64(position + kSignIncrement);
  const size_t blocks = bytes / kFingerprintBytes;
  uint64_t sum = SumOfBlocks(begin, blocks, 0, key);
  const size_t rest = bytes % kFingerprintBytes;
  if (rest > 0) {
    unsigned char padded[kFingerprintBytes] = {};
    std::memcpy(padded, begin + blocks * kFingerprintBytes, rest);
    sum += SumOfBlocks(padded, 1, blocks, key);
  }
  // Zeros at the end are not padding.
  return sum + Mix64(key ^ Mix64(bytes));
}

}  // namespace muster
