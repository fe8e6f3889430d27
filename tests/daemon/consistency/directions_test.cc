// Decoding of sketches, and which of them are compared.
#include <gtest/gtest.h>

#include <cmath>

#include "daemon/consistency/measure.h"
#include "tests/testing/frame_builder.h"

namespace muster::consistency {
namespace {

using frames::Report;
using testing::EncodeHalves;
using testing::MakeFrame;
using testing::MakeReport;

// A direction of the plane, exact in half precision where whole.
Report Pointing(uint32_t rank, double x, double y) {
  Report report = MakeReport(rank, 1, std::nullopt, {x, y});
  report.sketch = EncodeHalves({x, y});
  return report;
}

// The value that IEEE 754 defines for a finite binary16.
double HalfValue(uint32_t half) {
  const int exponent = static_cast<int>(half >> 10 & 31);
  const double fraction = (half & 1023) / 1024.0;
  const double magnitude = exponent == 0
                               ? std::pow(2, -14) * fraction
                               : std::pow(2, exponent - 15) * (1 + fraction);
  return (half >> 15 & 1) != 0 ? -magnitude : magnitude;
}

TEST(DecodeDirectionTest, EveryFiniteHalfIsDecodedExactly) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    if ((half >> 10 & 31) == 31) continue;
    // Beside a 1 the ratio of the two is the value.
    const std::string bytes = {static_cast<char>(half & 0xFF),
                               static_cast<char>(half >> 8), 0x00, 0x3C};
    const std::vector<double> direction = DecodeDirection(bytes);
    ASSERT_EQ(direction.size(), 2u);
    const double value = HalfValue(half);
    ASSERT_NEAR(direction[0] / direction[1], value, 1e-15 * std::fabs(value))
        << half;
  }
}

TEST(DecodeDirectionTest, IsAUnitVector) {
  const std::vector<double> direction = DecodeDirection(EncodeHalves({3, -4}));
  EXPECT_DOUBLE_EQ(direction[0], 0.6);
  EXPECT_DOUBLE_EQ(direction[1], -0.8);
}

TEST(DirectionCosineTest, IsTheCosineOfTheAngle) {
  EXPECT_DOUBLE_EQ(DirectionCosine(Pointing(0, 3, 4), Pointing(1, 4, 3)), 0.96);
  EXPECT_DOUBLE_EQ(DirectionCosine(Pointing(0, 3, 4), Pointing(1, -4, 3)), 0);
  EXPECT_DOUBLE_EQ(DirectionCosine(Pointing(0, 1, 2), Pointing(1, -7, -14)),
                   -1);
}

TEST(PairCosinesTest, HasAllPairsOfComparableRanks) {
  std::vector<Report> reports = {Pointing(1, 3, 4), Pointing(2, 4, 3),
                                 MakeReport(4, 1), Pointing(7, -4, 3)};
  const CosineMatrix matrix = PairCosines(MakeFrame(1, reports, 8));
  EXPECT_EQ(matrix.ranks, (std::vector<uint32_t>{1, 2, 7}));
  const std::vector<float> expected = {1,     0.96f, 0,  //
                                       0.96f, 1,     -0.28f, 0, -0.28f, 1};
  ASSERT_EQ(matrix.cosines.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(matrix.cosines[i], expected[i], 1e-7) << i;
  }
}

TEST(PairCosinesTest, FrameWithoutDirectionsHasNone) {
  EXPECT_TRUE(PairCosines(MakeFrame(1, {MakeReport(0, 1)})).cosines.empty());
}

TEST(ComparableDirectionsTest, SecondBackwardPassIsLeftOut) {
  std::vector<Report> reports = {Pointing(0, 3, 4), Pointing(1, 4, 3)};
  reports[0].multiple_backward = true;
  EXPECT_EQ(ComparableDirections(MakeFrame(1, reports)),
            (std::vector<size_t>{1}));
}

TEST(ComparableDirectionsTest, OtherCoverageThanMostIsLeftOut) {
  std::vector<Report> reports = {Pointing(0, 3, 4), Pointing(1, 4, 3),
                                 Pointing(2, 4, 3)};
  reports[0].elements_observed = 1;
  EXPECT_EQ(ComparableDirections(MakeFrame(1, reports)),
            (std::vector<size_t>{1, 2}));
}

TEST(ComparableDirectionsTest, LargerCoverageCountsWhereTwoAreAsCommon) {
  std::vector<Report> reports = {Pointing(0, 3, 4), Pointing(1, 4, 3)};
  reports[1].elements_observed = 1;
  EXPECT_EQ(ComparableDirections(MakeFrame(1, reports)),
            (std::vector<size_t>{0}));
}

// A rank whose gradient was not finite says nothing about coverage.
TEST(ComparableDirectionsTest, RanksWithoutNormHaveNoVoteOnCoverage) {
  std::vector<Report> reports = {MakeReport(0, 1), MakeReport(1, 1),
                                 Pointing(2, 4, 3)};
  EXPECT_EQ(ComparableDirections(MakeFrame(1, reports)),
            (std::vector<size_t>{2}));
}

TEST(ComparableDirectionsTest, OtherWidthThanMostIsLeftOut) {
  std::vector<Report> reports = {Pointing(0, 3, 4), Pointing(1, 4, 3),
                                 Pointing(2, 4, 3)};
  reports[1].sketch = EncodeHalves({1, 2, 3, 4});
  EXPECT_EQ(ComparableDirections(MakeFrame(1, reports)),
            (std::vector<size_t>{0, 2}));
}

}  // namespace
}  // namespace muster::consistency
