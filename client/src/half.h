// Conversions between binary32 and the 16-bit formats of gradients.
#ifndef MUSTER_CLIENT_SRC_HALF_H_
#define MUSTER_CLIENT_SRC_HALF_H_

#include <bit>
#include <cstdint>

namespace muster {

// Exact for every binary16, also where the host process flushes binary32
// subnormals to zero; a NaN stays a NaN.
inline float HalfBitsToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7FFF) << 13;
  // Exponent biases differ by 112.
  const uint32_t normal = magnitude + 0x38000000;
  const uint32_t special = magnitude + 0x70000000;  // infinity and NaN
  // A subnormal is set behind the leading one of 2^-14, which is taken away
  // again: no binary32 subnormal occurs.
  const uint32_t subnormal = std::bit_cast<uint32_t>(
      std::bit_cast<float>(magnitude + 0x38800000) - 0x1p-14f);
  // Masks instead of choices, which GCC would not vectorise.
  const uint32_t below = -uint32_t{magnitude < 0x00800000};
  const uint32_t above = -uint32_t{magnitude >= 0x0F800000};
  const uint32_t bits =
      (subnormal & below) | (special & above) | (normal & ~(below | above));
  return std::bit_cast<float>(bits | sign);
}

// Rounds to nearest, ties to even; overflow gives infinity.
inline uint16_t FloatToHalfBits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return sign | 0x7E00;   // NaN
  if (magnitude >= 0x477FF000) return sign | 0x7C00;  // 65520 and above
  if (magnitude < 0x38800000) {                       // below 2^-14
    // Adding 0.5 leaves a unit of 2^-24 in the last place, which is that of a
    // subnormal binary16: the addition itself rounds.
    const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(rounded) -
                                        std::bit_cast<uint32_t>(0.5f));
  }
  const uint32_t odd = (magnitude >> 13) & 1;
  const uint32_t rounded = magnitude + 0x0FFF + odd;
  return sign | static_cast<uint16_t>((rounded - 0x38000000) >> 13);
}

// Exact.
inline float BFloat16BitsToFloat(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_HALF_H_
