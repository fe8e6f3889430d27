// Compiled once for each instruction set of HWY_TARGETS; the best that the
// processor has is chosen at the first call.
#include "client/src/fingerprint_kernel.h"

#include <array>
#include <cstring>

#include "client/src/sketch_hash.h"

#define HWY_DISABLED_TARGETS                                               \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | \
   HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "client/src/fingerprint_kernel.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#ifndef MUSTER_FINGERPRINT_KEYS
#define MUSTER_FINGERPRINT_KEYS
namespace muster {
namespace {

constexpr std::array<uint32_t, kFingerprintWords> MakeKeys() {
  std::array<uint32_t, kFingerprintWords> keys{};
  for (size_t j = 0; j < kFingerprintWords; ++j) {
    keys[j] = static_cast<uint32_t>(Mix64((j + 1) * kPermutationIncrement));
  }
  return keys;
}

alignas(64) constexpr std::array<uint32_t, kFingerprintWords> kKeys =
    MakeKeys();

}  // namespace
}  // namespace muster
#endif

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

uint64_t InnerSum(const unsigned char* block) {
  uint32_t words[kFingerprintWords];
  std::memcpy(words, block, sizeof(words));
  uint64_t sum = 0;
  for (size_t j = 0; j < kFingerprintWords / 2; ++j) {
    const size_t far = j + kFingerprintWords / 2;
    sum += uint64_t{words[j] + kKeys[j]} * (words[far] + kKeys[far]);
  }
  return sum;
}

#else

namespace hn = hwy::HWY_NAMESPACE;

uint64_t InnerSum(const unsigned char* block) {
  const hn::ScalableTag<uint32_t> words;
  const hn::Repartition<uint8_t, decltype(words)> bytes;
  const hn::RepartitionToWide<decltype(words)> wide;
  constexpr size_t kHalf = kFingerprintWords / 2;
  auto even = hn::Zero(wide);
  auto odd = hn::Zero(wide);
  for (size_t j = 0; j < kHalf; j += hn::Lanes(words)) {
    const auto near =
        hn::Add(hn::BitCast(words, hn::LoadU(bytes, block + 4 * j)),
                hn::Load(words, kKeys.data() + j));
    const auto far =
        hn::Add(hn::BitCast(words, hn::LoadU(bytes, block + 4 * (j + kHalf))),
                hn::Load(words, kKeys.data() + j + kHalf));
    even = hn::Add(even, hn::MulEven(near, far));
    // The odd lanes, moved to the even ones.
    const auto upper = [&](auto lanes) {
      return hn::BitCast(words, hn::ShiftRight<32>(hn::BitCast(wide, lanes)));
    };
    odd = hn::Add(odd, hn::MulEven(upper(near), upper(far)));
  }
  return hn::GetLane(hn::SumOfLanes(wide, hn::Add(even, odd)));
}

#endif  // HWY_TARGET == HWY_SCALAR

uint64_t SumOfBlocks(const unsigned char* data, size_t blocks, uint64_t first,
                     uint64_t key) {
  uint64_t sum = 0;
  for (size_t i = 0; i < blocks; ++i) {
    const uint64_t block_key =
        Mix64(key + (first + i + 1) * kPermutationIncrement);
    sum += Mix64(InnerSum(data + i * kFingerprintBytes) ^ block_key);
  }
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace muster {

HWY_EXPORT(SumOfBlocks);

uint64_t SumOfBlocks(const unsigned char* data, size_t blocks, uint64_t first,
                     uint64_t key) {
  return HWY_DYNAMIC_DISPATCH(SumOfBlocks)(data, blocks, first, key);
}

}  // namespace muster
#endif  // HWY_ONCE
