#include "daemon/consistency/vector_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

// Those that vector_sums.cc is not compiled for.
#define HWY_DISABLED_TARGETS                                               \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | \
   HWY_AVX3_DL)
#include "hwy/highway.h"

namespace muster::consistency {
namespace {

// Each instruction set of this processor that the sums are compiled for.
class VectorSumsTest : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }
};

std::vector<int64_t> Targets() {
  std::vector<int64_t> targets;
  for (int bit = 0; bit < 63; ++bit) {
    const int64_t target = int64_t{1} << bit;
    if (hwy::SupportedTargets() & HWY_TARGETS & target) {
      targets.push_back(target);
    }
  }
  return targets;
}

template <typename T>
std::vector<T> Numbers(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<T> numbers(count);
  for (T& number : numbers) number = static_cast<T>(normal(random));
  return numbers;
}

// Of many sizes, all finite.
std::string Halves(size_t count) {
  std::mt19937 random(1);
  std::string bytes;
  for (size_t j = 0; j < count; ++j) {
    bytes.push_back(static_cast<char>(random() & 0xFF));
    bytes.push_back(static_cast<char>(random() & 0xBB));
  }
  return bytes;
}

// The header's order of summation, word by word.
double InOrder(const std::vector<double>& terms) {
  double p[8] = {};
  for (size_t j = 0; j < terms.size(); ++j) p[j % 8] += terms[j];
  return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
}

// Every finite binary16: sign (1 + f/1024) 2^(e − 15), or f 2⁻²⁴ where e is 0.
TEST_P(VectorSumsTest, DecodesEachHalf) {
  std::string bytes;
  std::vector<double> expected;
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const int exponent = half >> 10 & 0x1F;
    const int fraction = half & 0x3FF;
    if (exponent == 0x1F) continue;
    bytes.push_back(static_cast<char>(half & 0xFF));
    bytes.push_back(static_cast<char>(half >> 8));
    const double magnitude = exponent == 0
                                 ? std::ldexp(fraction, -24)
                                 : std::ldexp(1024 + fraction, exponent - 25);
    expected.push_back((half & 0x8000) != 0 ? -magnitude : magnitude);
  }
  std::vector<float> decoded(expected.size());
  std::vector<double> squares;
  for (const double each : expected) squares.push_back(each * each);
  EXPECT_EQ(DecodeHalves(bytes.data(), decoded.size(), decoded.data()),
            InOrder(squares));
  for (size_t j = 0; j < decoded.size(); ++j) {
    EXPECT_EQ(decoded[j], expected[j]);
    EXPECT_EQ(std::signbit(decoded[j]), std::signbit(expected[j]));
  }
}

TEST_P(VectorSumsTest, DecodesNoFurtherThanTold) {
  const std::string bytes(2 * 13, '\x3C');
  for (size_t numbers = 0; numbers <= 13; ++numbers) {
    std::vector<float> decoded(14, -1);
    DecodeHalves(bytes.data(), numbers, decoded.data());
    EXPECT_EQ(decoded[numbers], -1);
  }
}

TEST_P(VectorSumsTest, SumsInTheStatedOrder) {
  for (size_t count : {0u, 1u, 7u, 8u, 9u, 64u, 1000u, 1024u}) {
    const std::string halves = Halves(count);
    std::vector<float> h(count);
    const double square = DecodeHalves(halves.data(), count, h.data());
    const auto y = Numbers<double>(count, 2);
    const auto z = Numbers<double>(count, 3);
    std::vector<double> squares;
    std::vector<double> mixed;
    std::vector<double> products;
    for (size_t j = 0; j < count; ++j) {
      squares.push_back(double{h[j]} * h[j]);
      mixed.push_back(h[j] * y[j]);
      products.push_back(y[j] * z[j]);
    }
    EXPECT_EQ(square, InOrder(squares));
    EXPECT_EQ(SumOfHalfProducts(halves.data(), y.data(), count),
              InOrder(mixed));
    EXPECT_EQ(SumOfProducts(y.data(), z.data(), count), InOrder(products));
  }
}

TEST_P(VectorSumsTest, AddsScaledNumbersToBoth) {
  const auto x = Numbers<float>(1003, 4);
  const auto y = Numbers<double>(1003, 6);
  const auto before = Numbers<double>(1004, 5);
  std::vector<double> products;
  for (size_t j = 0; j < x.size(); ++j) products.push_back(x[j] * y[j]);
  for (const bool with_products : {true, false}) {
    std::vector<double> sum = before;
    std::vector<double> other = before;
    EXPECT_EQ(AddScaled(x.data(), x.size(), 0.3, sum.data(), 0.7, other.data(),
                        with_products ? y.data() : nullptr),
              with_products ? InOrder(products) : 0);
    for (size_t j = 0; j < x.size(); ++j) {
      EXPECT_EQ(sum[j], before[j] + 0.3 * double{x[j]});
      EXPECT_EQ(other[j], before[j] + 0.7 * double{x[j]});
    }
    EXPECT_EQ(sum.back(), before.back());
    EXPECT_EQ(other.back(), before.back());
  }
}

TEST_P(VectorSumsTest, FourTogetherAreFourInTurn) {
  for (size_t width : {64, 77}) {
    const auto y = Numbers<double>(width, 2);
    std::vector<double> sum = Numbers<double>(width, 3);
    std::vector<double> other = Numbers<double>(width, 4);
    std::vector<double> sum_in_turn = sum;
    std::vector<double> other_in_turn = other;
    const double scales[] = {0.3, 1.7, -2.1, 0.9};
    const double other_scales[] = {0.7, 0.1, 3.3, -0.2};
    std::vector<std::vector<float>> x;
    std::vector<double> products_in_turn;
    for (size_t row = 0; row < kTogether; ++row) {
      x.push_back(Numbers<float>(width, 5 + row));
      products_in_turn.push_back(
          AddScaled(x[row].data(), width, scales[row], sum_in_turn.data(),
                    other_scales[row], other_in_turn.data(), y.data()));
    }
    const float* rows[] = {x[0].data(), x[1].data(), x[2].data(), x[3].data()};
    std::vector<double> products(kTogether);
    AddFourScaled(rows, width, scales, sum.data(), other_scales, other.data(),
                  y.data(), products.data());
    EXPECT_EQ(products, products_in_turn);
    EXPECT_EQ(sum, sum_in_turn);
    EXPECT_EQ(other, other_in_turn);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, VectorSumsTest,
                         ::testing::ValuesIn(Targets()),
                         [](const ::testing::TestParamInfo<int64_t>& info) {
                           return std::string(hwy::TargetName(info.param));
                         });

}  // namespace
}  // namespace muster::consistency
