#include "tests/bench/sum_of_squares.h"

#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/bench/sum_of_squares.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace muster::bench {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;

template <DataType kType, size_t kAhead>
float Sum(const unsigned char* data, size_t bytes) {
  constexpr size_t kSums = 8;
  const Floats floats;
  const hn::Repartition<uint32_t, Floats> words;
  const size_t vector_bytes = hn::Lanes(floats) * sizeof(float);
  // A vector of bfloat16 is two of float32.
  constexpr size_t kLoads = kType == DataType::kBFloat16 ? kSums / 2 : kSums;
  Vector sums[kSums];
  for (Vector& sum : sums) sum = hn::Zero(floats);
  for (size_t at = 0; at < bytes; at += kLoads * vector_bytes) {
    for (size_t i = 0; i < kLoads; ++i) {
      const auto x = hn::LoadU(words, reinterpret_cast<const uint32_t*>(
                                          data + at + i * vector_bytes));
      if constexpr (kType == DataType::kBFloat16) {
        const Vector low = hn::BitCast(floats, hn::ShiftLeft<16>(x));
        const Vector high =
            hn::BitCast(floats, hn::And(x, hn::Set(words, 0xFFFF0000)));
        sums[2 * i] = hn::MulAdd(low, low, sums[2 * i]);
        sums[2 * i + 1] = hn::MulAdd(high, high, sums[2 * i + 1]);
      } else {
        const Vector value = hn::BitCast(floats, x);
        sums[i] = hn::MulAdd(value, value, sums[i]);
      }
    }
    if constexpr (kAhead > 0) {
      for (size_t line = 0; line < kLoads * vector_bytes; line += 64) {
        hwy::Prefetch(data + at + line + kAhead);
      }
    }
  }
  Vector total = sums[0];
  for (size_t i = 1; i < kSums; ++i) total = hn::Add(total, sums[i]);
  return hn::GetLane(hn::SumOfLanes(floats, total));
}

template <DataType kType>
float SumVariant(const unsigned char* data, size_t bytes, int variant) {
  switch (variant) {
    case 0:
      return Sum<kType, kPrefetchBytes[0]>(data, bytes);
    case 1:
      return Sum<kType, kPrefetchBytes[1]>(data, bytes);
    default:
      return Sum<kType, kPrefetchBytes[2]>(data, bytes);
  }
}

float SumOfSquares(const void* data, size_t bytes, DataType type, int variant) {
  const auto* octets = static_cast<const unsigned char*>(data);
  return type == DataType::kBFloat16
             ? SumVariant<DataType::kBFloat16>(octets, bytes, variant)
             : SumVariant<DataType::kFloat32>(octets, bytes, variant);
}

}  // namespace HWY_NAMESPACE
}  // namespace muster::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace muster::bench {

HWY_EXPORT(SumOfSquares);

float SumOfSquares(const void* data, size_t bytes, DataType type, int variant) {
  return HWY_DYNAMIC_DISPATCH(SumOfSquares)(data, bytes, type, variant);
}

}  // namespace muster::bench
#endif  // HWY_ONCE
