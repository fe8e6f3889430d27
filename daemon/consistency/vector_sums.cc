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

HWY_INLINE double SumOfPartials(const double* p) {
  return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
}

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
  return SumOfPartials(p);
}

// `halves` has kLanes numbers.
HWY_INLINE hn::Vec<Floats> LoadHalves(const char* halves) {
  uint16_t words[kLanes];
  std::memcpy(words, halves, sizeof(words));
  return hn::PromoteTo(Floats(),
                       hn::BitCast(Halves(), hn::LoadU(Words(), words)));
}
HWY_INLINE float LoadHalf(const char* half) {
  char lanes[2 * kLanes] = {};
  std::memcpy(lanes, half, 2);
  return hn::GetLane(LoadHalves(lanes));
}

double DecodeHalves(const char* halves, size_t numbers, float* decoded) {
  return Sum(
      numbers,
      [halves, decoded](size_t j) {
        const auto floats = LoadHalves(halves + 2 * j);
        hn::StoreU(floats, Floats(), decoded + j);
        const Vector value = hn::PromoteTo(Doubles(), floats);
        return hn::Mul(value, value);
      },
      [halves, decoded](size_t j) {
        decoded[j] = LoadHalf(halves + 2 * j);
        return double{decoded[j]} * decoded[j];
      });
}

double SumOfHalfProducts(const char* halves, const double* y, size_t numbers) {
  return Sum(
      numbers,
      [halves, y](size_t j) {
        return hn::Mul(hn::PromoteTo(Doubles(), LoadHalves(halves + 2 * j)),
                       Load(y + j));
      },
      [halves, y](size_t j) { return LoadHalf(halves + 2 * j) * y[j]; });
}

double SumOfProducts(const double* x, const double* y, size_t numbers) {
  return Sum(
      numbers, [x, y](size_t j) { return hn::Mul(Load(x + j), Load(y + j)); },
      [x, y](size_t j) { return x[j] * y[j]; });
}

double AddScaled(const float* x, size_t numbers, double scale, double* sum,
                 double other_scale, double* other_sum, const double* y) {
  const Vector factor = hn::Set(Doubles(), scale);
  const Vector other_factor = hn::Set(Doubles(), other_scale);
  const auto add = [=](size_t j) {
    const Vector value = Load(x + j);
    hn::StoreU(hn::Add(Load(sum + j), hn::Mul(factor, value)), Doubles(),
               sum + j);
    hn::StoreU(hn::Add(Load(other_sum + j), hn::Mul(other_factor, value)),
               Doubles(), other_sum + j);
    return value;
  };
  const auto add_one = [=](size_t j) {
    sum[j] += scale * x[j];
    other_sum[j] += other_scale * x[j];
    return double{x[j]};
  };
  if (y == nullptr) {
    return Sum(
        numbers,
        [&](size_t j) {
          add(j);
          return hn::Zero(Doubles());
        },
        [&](size_t j) {
          add_one(j);
          return 0.0;
        });
  }
  return Sum(
      numbers, [&](size_t j) { return hn::Mul(add(j), Load(y + j)); },
      [&](size_t j) { return add_one(j) * y[j]; });
}

void AddFourScaled(const float* const* x, size_t numbers, const double* scales,
                   double* sum, const double* other_scales, double* other_sum,
                   const double* y, double* products) {
  Vector partial[kTogether][kVectors];
  Vector factors[kTogether];
  Vector other_factors[kTogether];
  for (size_t row = 0; row < kTogether; ++row) {
    for (Vector& each : partial[row]) each = hn::Zero(Doubles());
    factors[row] = hn::Set(Doubles(), scales[row]);
    other_factors[row] = hn::Set(Doubles(), other_scales[row]);
  }
  size_t j = 0;
  for (; j + kPartials <= numbers; j += kPartials) {
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t at = j + v * kLanes;
      const Vector with = Load(y + at);
      Vector here = Load(sum + at);
      Vector other = Load(other_sum + at);
      for (size_t row = 0; row < kTogether; ++row) {
        const Vector value = Load(x[row] + at);
        here = hn::Add(here, hn::Mul(factors[row], value));
        other = hn::Add(other, hn::Mul(other_factors[row], value));
        partial[row][v] = hn::Add(partial[row][v], hn::Mul(value, with));
      }
      hn::StoreU(here, Doubles(), sum + at);
      hn::StoreU(other, Doubles(), other_sum + at);
    }
  }
  for (size_t row = 0; row < kTogether; ++row) {
    double p[kPartials];
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(partial[row][v], Doubles(), p + v * kLanes);
    }
    for (size_t k = j; k < numbers; ++k) {
      const double value = x[row][k];
      sum[k] += scales[row] * value;
      other_sum[k] += other_scales[row] * value;
      p[k % kPartials] += value * y[k];
    }
    products[row] = SumOfPartials(p);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace muster::consistency
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace muster::consistency {

HWY_EXPORT(DecodeHalves);
HWY_EXPORT(SumOfHalfProducts);
HWY_EXPORT(SumOfProducts);
HWY_EXPORT(AddScaled);
HWY_EXPORT(AddFourScaled);

double DecodeHalves(const char* halves, size_t numbers, float* decoded) {
  return HWY_DYNAMIC_DISPATCH(DecodeHalves)(halves, numbers, decoded);
}
double SumOfHalfProducts(const char* halves, const double* y, size_t numbers) {
  return HWY_DYNAMIC_DISPATCH(SumOfHalfProducts)(halves, y, numbers);
}
double SumOfProducts(const double* x, const double* y, size_t numbers) {
  return HWY_DYNAMIC_DISPATCH(SumOfProducts)(x, y, numbers);
}
double AddScaled(const float* x, size_t numbers, double scale, double* sum,
                 double other_scale, double* other_sum, const double* y) {
  return HWY_DYNAMIC_DISPATCH(AddScaled)(x, numbers, scale, sum, other_scale,
                                         other_sum, y);
}
void AddFourScaled(const float* const* x, size_t numbers, const double* scales,
                   double* sum, const double* other_scales, double* other_sum,
                   const double* y, double* products) {
  HWY_DYNAMIC_DISPATCH(AddFourScaled)
  (x, numbers, scales, sum, other_scales, other_sum, y, products);
}

}  // namespace muster::consistency
#endif  // HWY_ONCE
