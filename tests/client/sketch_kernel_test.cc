#include "client/src/sketch_kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "client/src/sketch_hash.h"
#include "hwy/highway.h"

namespace muster {
namespace {

constexpr uint64_t kSeed = SketchSpec::kDefaultSeed;
constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kFloat16,
                               DataType::kBFloat16};

// Each instruction set of this processor that the kernel is compiled for.
class SketchKernelTest : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

std::vector<int64_t> Targets() {
  std::vector<int64_t> targets;
  for (int bit = 0; bit < 63; ++bit) {
    const int64_t target = int64_t{1} << bit;
    if (hwy::SupportedTargets() & KernelTargets() & target) {
      targets.push_back(target);
    }
  }
  return targets;
}

// `count` elements, from an address that is aligned to nothing.
class Elements {
 public:
  Elements(DataType type, size_t count)
      : type_(type), bytes_(1 + count * SizeOf(type)) {}

  const unsigned char* data() const { return bytes_.data() + 1; }
  void Set(size_t i, float x) {
    uint32_t bits = std::bit_cast<uint32_t>(x);
    if (type_ == DataType::kFloat16) bits = FloatToHalf(x);
    if (type_ == DataType::kBFloat16) bits >>= 16;
    SetBits(i, bits);
  }
  void SetBits(size_t i, uint32_t bits) {
    std::memcpy(bytes_.data() + 1 + i * SizeOf(type_), &bits, SizeOf(type_));
  }

 private:
  const DataType type_;
  std::vector<unsigned char> bytes_;
};

struct Result {
  size_t pieces = 0;
  double squared_norm = 0;
  std::vector<double> values;
};

Result Sum(const Elements& elements, DataType type, uint64_t block,
           size_t pieces, uint32_t width, bool plain) {
  const PieceRun run{elements.data(), type,  block * width,
                     pieces,          width, PermutationKey(kSeed),
                     SignKey(kSeed)};
  Result result;
  result.values.resize(width);
  struct alignas(kPartialAlignment) Line {
    float sums[kPartialAlignment / sizeof(float)];
  };
  const size_t region = PieceElements(width);
  const size_t lines = region * sizeof(float) / sizeof(Line);
  std::vector<Line> memory((width / region + 1) * lines);
  PartialSums partial;
  for (size_t i = 0; i < width / region; ++i) {
    partial.regions[i] = memory[i * lines].sums;
  }
  partial.spare = memory[width / region * lines].sums;
  // What is in the spare region must not matter.
  std::fill_n(partial.spare, region, 7.0f);
  if (plain) {
    result.pieces = AddPiecesPlain(run, &partial, &result.squared_norm);
    FoldPartialPlain(type, width, partial, result.values.data());
  } else {
    result.pieces = AddPieces(run, &partial, &result.squared_norm);
    FoldPartial(type, width, partial, result.values.data());
  }
  for (size_t i = 0; i < width; ++i) {
    EXPECT_EQ(partial.regions[i / region][i % region], 0);
  }
  return result;
}

// Every bucket takes its elements in the order of blocks, whatever the vectors:
// the projections have the same bits. Squares are summed in another order, of
// 1024 additions at most in each piece, all of one sign.
void ExpectSame(const Result& vectors, const Result& plain) {
  EXPECT_EQ(vectors.pieces, plain.pieces);
  EXPECT_EQ(vectors.values, plain.values);
  EXPECT_NEAR(vectors.squared_norm, plain.squared_norm,
              1024 * 0x1p-24 * plain.squared_norm);
}

TEST_P(SketchKernelTest, EqualsThePlainReference) {
  for (const DataType type : kTypes) {
    for (const uint32_t width : {64u, 128u, 1024u, 4096u}) {
      for (const uint64_t block : {uint64_t{0}, uint64_t{1} << 33}) {
        SCOPED_TRACE(::testing::Message() << "type " << static_cast<int>(type)
                                          << " width " << width);
        const size_t pieces = kBlocksPerFold * width / PieceElements(width);
        Elements elements(type, kBlocksPerFold * width);
        std::mt19937_64 random(width);
        std::normal_distribution<float> normal;
        for (size_t i = 0; i < kBlocksPerFold * width; ++i) {
          elements.Set(i, normal(random));
        }
        const Result plain = Sum(elements, type, block, pieces, width, true);
        EXPECT_EQ(plain.pieces, pieces);
        ExpectSame(Sum(elements, type, block, pieces, width, false), plain);
      }
    }
  }
}

// Every number of 16 bits, infinities and NaN left out.
TEST_P(SketchKernelTest, ReadsEveryHalfExactly) {
  for (const DataType type : {DataType::kFloat16, DataType::kBFloat16}) {
    const uint32_t exponent = type == DataType::kFloat16 ? 0x7C00 : 0x7F80;
    Elements elements(type, 65536);
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      const bool is_finite = (bits & exponent) != exponent;
      // Squares of large numbers have no float32 sum: they go another way.
      const bool is_large =
          type == DataType::kBFloat16 && (bits & 0x7FFF) > 0x5D00;
      elements.SetBits(bits, is_finite && !is_large ? bits : 0);
    }
    const Result plain = Sum(elements, type, 7, 64, 1024, true);
    EXPECT_EQ(plain.pieces, 64u);
    ExpectSame(Sum(elements, type, 7, 64, 1024, false), plain);
  }
}

TEST_P(SketchKernelTest, StopsBeforeElementsWithoutAFiniteSum) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const DataType type : kTypes) {
    for (const float x : {kInfinity, -kInfinity, std::nanf(""), 3e38f}) {
      if (x == 3e38f && type == DataType::kFloat16) continue;
      for (const size_t index : {0, 1023, 1024, 2055, 3071}) {
        Elements elements(type, 3 * 1024);
        for (size_t i = 0; i < 3 * 1024; ++i) elements.Set(i, 0.5f);
        elements.Set(index, x);
        const Result result = Sum(elements, type, 0, 3, 1024, false);
        EXPECT_EQ(result.pieces, index / 1024);
        EXPECT_EQ(result.squared_norm, 256.0 * (index / 1024));
        ExpectSame(result, Sum(elements, type, 0, 3, 1024, true));
      }
    }
  }
}

// 1e-30 squared is 1e-60: nothing is left of it in float32.
TEST_P(SketchKernelTest, SumsTinySquaresInDouble) {
  for (const DataType type : {DataType::kFloat32, DataType::kBFloat16}) {
    Elements elements(type, 2048);
    for (size_t i = 0; i < 2048; ++i) elements.Set(i, 0x1p-100f);
    const Result result = Sum(elements, type, 0, 2, 1024, false);
    EXPECT_EQ(result.squared_norm, 2048 * 0x1p-200);
    ExpectSame(result, Sum(elements, type, 0, 2, 1024, true));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, SketchKernelTest,
                         ::testing::ValuesIn(Targets()),
                         [](const ::testing::TestParamInfo<int64_t>& info) {
                           return std::string(hwy::TargetName(info.param));
                         });

}  // namespace
}  // namespace muster
