// Compiled once for each instruction set, as sketch_kernel.cc: one number at a
// time, it was most of what the end of a step cost the training thread.
#include "client/src/sketch_encode.h"

#include <bit>
#include <cstdint>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "client/src/sketch_encode.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace muster {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

static_assert(std::endian::native == std::endian::little);

// The steps are those of FloatToHalfBits in half.h. Highway's own conversion
// rounds towards zero where the processor has none.
void EncodeHalves(const double* values, size_t count, double norm,
                  unsigned char* wire) {
  const hn::ScalableTag<double> doubles;
  const hn::Rebind<float, decltype(doubles)> floats;
  const hn::RebindToUnsigned<decltype(floats)> words;
  const hn::RebindToSigned<decltype(floats)> integers;
  const hn::Rebind<uint16_t, decltype(doubles)> halves;
  const size_t lanes = hn::Lanes(doubles);

  const auto norms = hn::Set(doubles, norm);
  const auto a_half = hn::Set(floats, 0.5f);
  const auto infinity = hn::Set(words, 0x7C00);
  const auto one = hn::Set(words, 1);
  for (size_t i = 0; i < count; i += lanes) {
    const auto quotient = hn::Div(hn::LoadU(doubles, values + i), norms);
    const auto bits = hn::BitCast(words, hn::DemoteTo(floats, quotient));
    const auto magnitude = hn::And(bits, hn::Set(words, 0x7FFFFFFF));
    const auto sign = hn::ShiftRight<16>(hn::Xor(bits, magnitude));

    const auto odd = hn::And(hn::ShiftRight<13>(magnitude), one);
    // 0x0FFF rounds, 0x38000000 is the difference of the exponents' biases.
    const auto rounded =
        hn::Add(magnitude, hn::Add(odd, hn::Set(words, 0x0FFF - 0x38000000)));
    const auto normal = hn::ShiftRight<13>(rounded);
    const auto shifted = hn::Add(hn::BitCast(floats, magnitude), a_half);
    const auto subnormal =
        hn::Sub(hn::BitCast(words, shifted), hn::BitCast(words, a_half));
    // Magnitudes are below 2³¹: as signed numbers they compare faster.
    const auto ordered = hn::BitCast(integers, magnitude);
    const auto tiny =
        hn::RebindMask(words, hn::Lt(ordered, hn::Set(integers, 0x38800000)));
    const auto huge =
        hn::RebindMask(words, hn::Gt(ordered, hn::Set(integers, 0x477FEFFF)));
    const auto half =
        hn::IfThenElse(huge, infinity, hn::IfThenElse(tiny, subnormal, normal));
    const auto signed_half = hn::BitCast(integers, hn::Or(half, sign));
    hn::StoreU(hn::DemoteTo(halves, signed_half), halves,
               reinterpret_cast<uint16_t*>(wire) + i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace muster
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace muster {

HWY_EXPORT(EncodeHalves);

void EncodeHalves(const double* values, size_t count, double norm,
                  unsigned char* wire) {
  HWY_DYNAMIC_DISPATCH(EncodeHalves)(values, count, norm, wire);
}

}  // namespace muster
#endif  // HWY_ONCE
