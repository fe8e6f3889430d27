// Compiled once for each instruction set of HWY_TARGETS; the best that the
// processor has is chosen at the first call.
#include "daemon/consistency/vector_sums.h"

#include <cstdint>
#include <cstring>

// The partial sums need vectors of known size.
#define HWY_DISABLED_TARGETS                                               \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | \
   HWY_AVX3_DL)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "daemon/consistency/vector_sums.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace muster::consistency {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kPartials = 8;
using Doubles = hn::CappedTag<double, kPartials>;
using Floats = hn::Rebind<float, Doubles>;
using Halves = hn::Rebind<hwy::float16_t, Doubles>;
using Words = hn::Rebind<uint16_t, Doubles>;
using Vector = hn::Vec<Doubles>;
constexpr size_t kLanes = hn::MaxLanes(Doubles());
constexpr size_t kVectors = kPartials / kLanes;
static_assert(kVectors * kLanes == kPartials);

HWY_INLINE Vector Load(const float* x) {
  return hn::PromoteTo(Doubles(), hn::LoadU(Floats(), x));
}
HWY_INLINE Vector Load(const double* x) { return hn::LoadU(Doubles(), x); }

// `term(j)` is the vector of the terms j … j + kLanes − 1, `last(j)` one term.
template <typename Term, typename Last>
HWY_INLINE double Sum(size_t numbers, Term term, Last last) {
  Vector partial[kVectors];
  for (Vector& each : partial) each = hn::Zero(Doubles());
  size_t j = 0;
  for (; j + kPartials <= numbers; j += kPartials) {
    for (size_t v = 0; v < kVectors; ++v) {
      partial[v] = hn::Add(partial[v], term(j + v * kLanes));
    }
  }
  double p[kPartials];
  for (size_t v = 0; v < kVectors; ++v) {
    hn::StoreU(partial[v], Doubles(), p + v * kLanes);
  }
  for (; j < numbers; ++j) p[j % kPartials] += last(j);
  return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
}

// `halves` has kLanes numbers.
HWY_INLINE void DecodeVector(const char* halves, float* decoded) {
  uint16_t words[kLanes];
  std::memcpy(words, halves, sizeof(words));
  const auto vector = hn::BitCast(Halves(), hn::LoadU(Words(), words));
  hn::StoreU(hn::PromoteTo(Floats(), vector), Floats(), decoded);
}

void DecodeHalves(const char* halves, size_t numbers, float* decoded) {
  size_t j = 0;
  for (; j + kLanes <= numbers; j += kLanes) {
    DecodeVector(halves + 2 * j, decoded + j);
  }
  if (j == numbers) return;
  char last[2 * kLanes] = {};
  float rest[kLanes];
  std::memcpy(last, halves + 2 * j, 2 * (numbers - j));
  DecodeVector(last, rest);
  std::memcpy(decoded + j, rest, sizeof(float) * (numbers - j));
}

double SumOfSquares(const float* x, size_t numbers) {
  return Sum(
      numbers,
      [x](size_t j) {
        const Vector value = Load(x + j);
        return hn::Mul(value, value);
      },
      [x](size_t j) { return double{x[j]} * x[j]; });
}

double SumOfFloatProducts(const float* x, const double* y, size_t numbers) {
  return Sum(
      numbers, [x, y](size_t j) { return hn::Mul(Load(x + j), Load(y + j)); },
      [x, y](size_t j) { return x[j] * y[j]; });
}

double SumOfDoubleProducts(const double* x, const double* y, size_t numbers) {
  return Sum(
      numbers, [x, y](size_t j) { return hn::Mul(Load(x + j), Load(y + j)); },
      [x, y](size_t j) { return x[j] * y[j]; });
}

void AddScaled(double scale, const float* x, size_t numbers, double* sum) {
  const Vector factor = hn::Set(Doubles(), scale);
  size_t j = 0;
  for (; j + kLanes <= numbers; j += kLanes) {
    hn::StoreU(hn::Add(Load(sum + j), hn::Mul(factor, Load(x + j))), Doubles(),
               sum + j);
  }
  for (; j < numbers; ++j) sum[j] += scale * x[j];
}

}  // namespace HWY_NAMESPACE
}  // namespace muster::consistency
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace muster::consistency {

HWY_EXPORT(DecodeHalves);
HWY_EXPORT(SumOfSquares);
HWY_EXPORT(SumOfFloatProducts);
HWY_EXPORT(SumOfDoubleProducts);
HWY_EXPORT(AddScaled);

void DecodeHalves(const char* halves, size_t numbers, float* decoded) {
  HWY_DYNAMIC_DISPATCH(DecodeHalves)(halves, numbers, decoded);
}
double SumOfSquares(const float* x, size_t numbers) {
  return HWY_DYNAMIC_DISPATCH(SumOfSquares)(x, numbers);
}
double SumOfProducts(const float* x, const double* y, size_t numbers) {
  return HWY_DYNAMIC_DISPATCH(SumOfFloatProducts)(x, y, numbers);
}
double SumOfProducts(const double* x, const double* y, size_t numbers) {
  return HWY_DYNAMIC_DISPATCH(SumOfDoubleProducts)(x, y, numbers);
}
void AddScaled(double scale, const float* x, size_t numbers, double* sum) {
  HWY_DYNAMIC_DISPATCH(AddScaled)(scale, x, numbers, sum);
}

}  // namespace muster::consistency
#endif  // HWY_ONCE
