// Holds each instruction set to the definition of rounding to nearest even.
#include "client/src/sketch_encode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "hwy/targets.h"
#include "muster/sketch.h"

namespace muster {
namespace {

constexpr uint16_t kHalfInfinity = 0x7C00;

class SketchEncodeTest : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  // Values and the halves that they should become, at a norm of 4.
  void Expect(double value, uint16_t half) {
    values_.push_back(value * 4);
    expected_.push_back(half);
    values_.push_back(-value * 4);
    expected_.push_back(half | 0x8000);
  }

  void Check() {
    while (values_.size() % 64 != 0) Expect(0, 0);
    // An address that is aligned to nothing.
    std::vector<unsigned char> wire(2 * values_.size() + 1);
    EncodeHalves(values_.data(), values_.size(), 4, wire.data() + 1);
    for (size_t i = 0; i < values_.size(); ++i) {
      uint16_t half;
      std::memcpy(&half, wire.data() + 1 + 2 * i, sizeof(half));
      ASSERT_EQ(half, expected_[i]) << "of " << values_[i] / 4;
    }
  }

 private:
  std::vector<double> values_;
  std::vector<uint16_t> expected_;
};

TEST_P(SketchEncodeTest, KeepsEveryHalfAsItIs) {
  for (uint16_t half = 0; half <= kHalfInfinity; ++half) {
    Expect(HalfToFloat(half), half);
  }
  Check();
}

TEST_P(SketchEncodeTest, RoundsToTheNearerNeighbourAndTiesToEven) {
  for (uint16_t half = 0; half + 1 < kHalfInfinity; ++half) {
    const uint16_t next = half + 1;
    // Exact in binary32, as are its neighbours.
    const float middle = (HalfToFloat(half) + HalfToFloat(next)) / 2;
    Expect(std::nextafter(middle, 0.0f), half);
    Expect(middle, half % 2 == 0 ? half : next);
    Expect(std::nextafter(middle, INFINITY), next);
  }
  Check();
}

TEST_P(SketchEncodeTest, OverflowsToInfinityAndUnderflowsToZero) {
  Expect(std::nextafter(65520.0f, 0.0f), 0x7BFF);
  Expect(65520, kHalfInfinity);
  Expect(1e30, kHalfInfinity);
  Expect(1e300, kHalfInfinity);
  Expect(1e-30, 0);
  Expect(1e-300, 0);
  Check();
}

INSTANTIATE_TEST_SUITE_P(EachTarget, SketchEncodeTest,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& info) {
                           return std::string(hwy::TargetName(info.param));
                         });

}  // namespace
}  // namespace muster
