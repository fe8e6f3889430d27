#include "muster/sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "client/src/sketch_hash.h"
#include "tests/client/sketch_vectors.h"
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace muster {
namespace {

using testing::FloatVector;
using testing::IntegerVector;

const testing::SketchVectors& Vectors() {
  static const auto& vectors = *new testing::SketchVectors(
      testing::ReadSketchVectors(MUSTER_SKETCH_VECTORS));
  return vectors;
}

// A vector as bytes of its data type.
struct Elements {
  DataType type;
  std::string bytes;

  size_t size() const { return bytes.size() / SizeOf(type); }
  void Append(uint32_t bits) {
    bytes.append(reinterpret_cast<const char*>(&bits), SizeOf(type));
  }
};

Elements ElementsOf(const FloatVector& v) {
  Elements elements{v.type, {}};
  for (uint32_t bits : v.bits) elements.Append(bits);
  return elements;
}

// Integers of −15 … 15 are exact in all three types, and so are their sums.
Elements ElementsOf(const IntegerVector& v) {
  Elements elements{v.type, {}};
  for (size_t i = 0; i < v.count; ++i) {
    const float x = static_cast<float>(Mix64(v.offset + i) % 31) - 15.0f;
    const uint32_t bits = std::bit_cast<uint32_t>(x);
    elements.Append(v.type == DataType::kFloat32   ? bits
                    : v.type == DataType::kFloat16 ? FloatToHalf(x)
                                                   : bits >> 16);
  }
  return elements;
}

Elements Floats(const std::vector<float>& values) {
  Elements elements{DataType::kFloat32, {}};
  for (float x : values) elements.Append(std::bit_cast<uint32_t>(x));
  return elements;
}

void AddWhole(const Elements& elements, uint64_t offset, Sketch* sketch) {
  sketch->Add(offset, elements.bytes.data(), elements.size(), elements.type);
}

// Cuts at random places, and adds the chunks in random order from unaligned
// addresses.
void AddShuffled(const Elements& elements, uint64_t offset, uint64_t seed,
                 Sketch* sketch) {
  std::mt19937_64 random(seed);
  std::vector<size_t> cuts = {0, elements.size()};
  for (int i = 0; i < 20; ++i) cuts.push_back(random() % elements.size());
  std::sort(cuts.begin(), cuts.end());
  std::vector<size_t> order(cuts.size() - 1);
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  const size_t bytes = SizeOf(elements.type);
  for (size_t i : order) {
    const size_t count = cuts[i + 1] - cuts[i];
    const std::string shifted =
        "x" + elements.bytes.substr(cuts[i] * bytes, count * bytes);
    sketch->Add(offset + cuts[i], shifted.data() + 1, count, elements.type);
  }
}

uint64_t Fnv1a(const std::string& bytes) {
  uint64_t hash = 0xCBF29CE484222325;
  for (unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001B3;
  return hash;
}

uint64_t HashOfIntegers(const std::vector<double>& values) {
  std::string bytes;
  for (double value : values) {
    const auto integer = static_cast<int64_t>(value);
    EXPECT_EQ(static_cast<double>(integer), value);
    bytes.append(reinterpret_cast<const char*>(&integer), sizeof(integer));
  }
  return Fnv1a(bytes);
}

TEST(SketchHashTest, MixesAsPublished) {
  // First output of SplitMix64 from state 0, as its authors print it.
  EXPECT_EQ(Mix64(0x9E3779B97F4A7C15), 0xE220A8397B1DCDAF);
  ASSERT_EQ(Vectors().mix.size(), 6u);
  for (const auto& v : Vectors().mix) EXPECT_EQ(Mix64(v.input), v.output);
}

TEST(SketchHashTest, PlacesElementsAsTheReferenceDoes) {
  ASSERT_EQ(Vectors().elements.size(), 27u);
  for (const auto& v : Vectors().elements) {
    SCOPED_TRACE(v.index);
    EXPECT_EQ(
        LanePermutation(PermutationKey(v.seed), v.index / v.width, v.width),
        v.permutation);
    EXPECT_EQ(SignWord(SignKey(v.seed), v.index / 64), v.sign_word);
    Sketch sketch({.width = v.width, .seed = v.seed});
    AddWhole(Floats({1}), v.index, &sketch);
    for (uint32_t bucket = 0; bucket < v.width; ++bucket) {
      ASSERT_EQ(sketch.values()[bucket], bucket == v.bucket ? v.sign : 0);
    }
  }
}

TEST(SketchTest, EqualsReferenceOnIntegersHoweverCut) {
  ASSERT_EQ(Vectors().integers.size(), 13u);
  for (const IntegerVector& v : Vectors().integers) {
    const Elements elements = ElementsOf(v);
    for (uint64_t shuffle = 0; shuffle < 4; ++shuffle) {
      SCOPED_TRACE(::testing::Message()
                   << "offset " << v.offset << " type "
                   << static_cast<int>(v.type) << " shuffle " << shuffle);
      Sketch sketch(v.spec);
      if (shuffle == 0) {
        AddWhole(elements, v.offset, &sketch);
      } else {
        AddShuffled(elements, v.offset, shuffle, &sketch);
      }
      EXPECT_EQ(HashOfIntegers(sketch.values()), v.values_hash);
      EXPECT_EQ(sketch.squared_norm(), v.squared_norm);
      EXPECT_EQ(Fnv1a(sketch.Encode()), v.wire_hash);
      EXPECT_EQ(sketch.element_count(), v.count);
      EXPECT_EQ(sketch.nonfinite_count(), 0u);
    }
  }
}

// At most five addends a bucket, and a norm summed in float32: 1e-6 is 16 units
// in its last place.
TEST(SketchTest, EqualsReferenceOnFloats) {
  ASSERT_EQ(Vectors().floats.size(), 14u);
  for (const FloatVector& v : Vectors().floats) {
    const Elements elements = ElementsOf(v);
    for (uint64_t shuffle = 0; shuffle < 4; ++shuffle) {
      SCOPED_TRACE(v.name + " shuffle " + std::to_string(shuffle));
      Sketch sketch(v.spec);
      if (shuffle == 0) {
        AddWhole(elements, v.offset, &sketch);
      } else {
        AddShuffled(elements, v.offset, shuffle, &sketch);
      }
      EXPECT_NEAR(sketch.squared_norm(), v.squared_norm, 1e-6 * v.squared_norm);
      EXPECT_EQ(sketch.nonfinite_count(), v.nonfinite);
      const double norm = std::sqrt(v.squared_norm);
      for (size_t i = 0; i < v.values.size(); ++i) {
        EXPECT_NEAR(sketch.values()[i], v.values[i], 1e-6 * norm);
      }
      EXPECT_EQ(sketch.Encode().empty(), v.nonfinite > 0);
    }
  }
}

// 64 blocks and more, where float32 sums would overflow or lose bits if they
// ran on.
TEST(SketchTest, KeepsLongVectorsOfExtremeMagnitude) {
  constexpr size_t kCount = 300 * 1024 + 17;
  for (const float magnitude :
       {1.0f, 1e-45f, 1e-38f, 1e-30f, 1e-16f, 1e15f, 1e19f, 1e35f,
        std::numeric_limits<float>::max()}) {
    SCOPED_TRACE(magnitude);
    Sketch unit(SketchSpec{}), scaled(SketchSpec{});
    AddWhole(Floats(std::vector<float>(kCount, 1.0f)), 3, &unit);
    AddWhole(Floats(std::vector<float>(kCount, magnitude)), 3, &scaled);
    const double exact = static_cast<double>(magnitude) * magnitude * kCount;
    // A float32 sum of 1024 squares makes up to 80 roundings of 2^-24 in a row.
    EXPECT_NEAR(scaled.squared_norm() / exact, 1, 80 * 0x1p-24);
    for (size_t i = 0; i < unit.values().size(); ++i) {
      EXPECT_NEAR(scaled.values()[i] / magnitude, unit.values()[i], 1e-3);
    }
    EXPECT_FALSE(scaled.Encode().empty());
  }
}

TEST(SketchTest, LeavesNonFiniteElementsOut) {
  std::vector<float> values(5000, 0.5f);
  std::vector<float> zeroed = values;
  const float odd[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity()};
  for (size_t i : {0, 1500, 1501, 4999}) {
    values[i] = odd[i % 3];
    zeroed[i] = 0;
  }
  Sketch sketch(SketchSpec{}), expected(SketchSpec{});
  AddWhole(Floats(values), 0, &sketch);
  AddWhole(Floats(zeroed), 0, &expected);
  EXPECT_EQ(sketch.nonfinite_count(), 4u);
  EXPECT_EQ(sketch.squared_norm(), 0.25 * 4996);
  EXPECT_EQ(sketch.values(), expected.values());
  EXPECT_EQ(sketch.Encode(), "");
  EXPECT_NE(expected.Encode(), "");
}

TEST(SketchTest, HasNoWireFormWithoutANorm) {
  Sketch sketch(SketchSpec{});
  EXPECT_EQ(sketch.Encode(), "");
  AddWhole(Floats(std::vector<float>(3000, 0.0f)), 0, &sketch);
  EXPECT_EQ(sketch.Encode(), "");
  EXPECT_EQ(sketch.element_count(), 3000u);
}

TEST(SketchTest, WireFormIsLittleEndianHalvesOfUnitVector) {
  Sketch sketch({.width = 64, .seed = 5});
  AddWhole(Floats({3}), 0, &sketch);
  const std::string wire = sketch.Encode();
  ASSERT_EQ(wire.size(), 128u);
  for (size_t i = 0; i < 64; ++i) {
    const double value = sketch.values()[i];
    EXPECT_EQ(wire[2 * i], 0);
    // ±1 is 0x3C00, 0xBC00.
    EXPECT_EQ(static_cast<uint8_t>(wire[2 * i + 1]),
              value == 0 ? 0 : (value > 0 ? 0x3C : 0xBC));
  }
}

TEST(SketchTest, ResetStartsANewVector) {
  Sketch fresh(SketchSpec{}), used(SketchSpec{});
  AddWhole(Floats({std::nanf(""), 1, 2}), 7, &used);
  used.Reset();
  for (Sketch* sketch : {&fresh, &used}) {
    AddWhole(Floats(std::vector<float>(2000, 1.0f)), 1, sketch);
  }
  EXPECT_EQ(used.values(), fresh.values());
  EXPECT_EQ(used.squared_norm(), 2000);
  EXPECT_EQ(used.element_count(), 2000u);
  EXPECT_NE(used.Encode(), "");
}

// Elements of one block never share a bucket, so that block is kept exactly.
TEST(SketchTest, KeepsASingleBlockExactly) {
  Sketch sketch(SketchSpec{});
  std::vector<float> values(1024);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1.0f + i;
  AddWhole(Floats(values), 5 * 1024, &sketch);
  std::vector<float> magnitudes;
  for (double value : sketch.values()) {
    magnitudes.push_back(static_cast<float>(std::fabs(value)));
  }
  std::sort(magnitudes.begin(), magnitudes.end());
  EXPECT_EQ(magnitudes, values);
}

TEST(SketchSpecTest, AllowsPowersOfTwoFrom64To65536) {
  for (uint32_t width : {64u, 1024u, 65536u}) {
    EXPECT_TRUE(SketchSpec{.width = width}.IsValid()) << width;
  }
  for (uint32_t width : {0u, 1u, 32u, 65u, 1000u, 131072u, 0x80000000u}) {
    EXPECT_FALSE(SketchSpec{.width = width}.IsValid()) << width;
  }
}

// The value that IEEE 754 gives a positive finite half.
double ValueOfHalf(uint16_t half) {
  const int exponent = half >> 10;
  const int fraction = half & 0x3FF;
  return exponent == 0 ? std::ldexp(fraction, -24)
                       : std::ldexp(1024 + fraction, exponent - 25);
}

void ExpectAllHalvesExact() {
  for (uint32_t half = 0; half < 0x7C00; ++half) {
    const auto value = static_cast<float>(ValueOfHalf(half));
    ASSERT_EQ(HalfToFloat(half), value) << half;
    ASSERT_EQ(HalfToFloat(half | 0x8000), -value) << half;
    ASSERT_TRUE(std::signbit(HalfToFloat(half | 0x8000))) << half;
  }
}

TEST(HalfTest, ReadsAll65536) {
  ExpectAllHalvesExact();
  EXPECT_EQ(HalfToFloat(0x7C00), std::numeric_limits<float>::infinity());
  EXPECT_EQ(HalfToFloat(0xFC00), -std::numeric_limits<float>::infinity());
  for (uint32_t half = 0x7C01; half < 0x8000; ++half) {
    ASSERT_TRUE(std::isnan(HalfToFloat(half))) << half;
    ASSERT_TRUE(std::isnan(HalfToFloat(half | 0x8000))) << half;
  }
}

#if defined(__SSE2__)
// torch.set_flush_denormal(True) sets these bits in the thread that calls us;
// a loss scaler's gradients are often subnormal halves.
TEST(HalfTest, ReadsSubnormalsWhereTheHostFlushesThem) {
  const unsigned int control = _mm_getcsr();
  _mm_setcsr(control | 0x8040);
  const float smallest = HalfToFloat(1);
  const uint16_t back = FloatToHalf(smallest);
  _mm_setcsr(control);
  EXPECT_EQ(smallest, 0x1p-24f);
  EXPECT_EQ(back, 1);
}
#endif

// Each boundary between two neighbours, the float32 on either side of it, and
// the halves themselves: a monotonic rounding is settled by these.
TEST(HalfTest, RoundsToNearestEven) {
  for (uint16_t half = 0; half < 0x7C00; ++half) {
    const double low = ValueOfHalf(half);
    const double high = half == 0x7BFF ? 65536.0 : ValueOfHalf(half + 1);
    const auto middle = static_cast<float>((low + high) / 2);
    const auto even = static_cast<uint16_t>(half + (half & 1));
    const float infinity = std::numeric_limits<float>::infinity();
    for (const uint16_t sign : {0x0000, 0x8000}) {
      const float s = sign ? -1.0f : 1.0f;
      ASSERT_EQ(FloatToHalf(s * static_cast<float>(low)), sign | half);
      ASSERT_EQ(FloatToHalf(s * std::nextafter(middle, 0.0f)), sign | half);
      ASSERT_EQ(FloatToHalf(s * middle), sign | even) << half;
      ASSERT_EQ(FloatToHalf(s * std::nextafter(middle, infinity)),
                sign | (half + 1));
    }
  }
  EXPECT_EQ(FloatToHalf(std::numeric_limits<float>::infinity()), 0x7C00);
  EXPECT_EQ(FloatToHalf(-std::numeric_limits<float>::max()), 0xFC00);
  EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(std::nanf("")))));
}

TEST(HalfTest, AgreesWithNumpy) {
  ASSERT_GE(Vectors().halves.size(), 90u);
  for (const auto& v : Vectors().halves) {
    EXPECT_EQ(FloatToHalf(std::bit_cast<float>(v.float_bits)), v.half_bits)
        << std::hex << v.float_bits;
  }
}

}  // namespace
}  // namespace muster
