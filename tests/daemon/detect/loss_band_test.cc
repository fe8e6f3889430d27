#include "daemon/detect/loss_band.h"

#include <cmath>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

TEST(LossBandTest, FirstLossesAreInside) {
  LossBand band;
  for (int i = 0; i < 32; ++i) {
    EXPECT_TRUE(band.Inside(i % 2 == 0 ? 1 : 100)) << i;
  }
}

TEST(LossBandTest, JumpIsOutsideAndDriftIsInside) {
  LossBand band;
  std::mt19937_64 engine(1);
  std::normal_distribution<double> noise(0, 0.1);
  int outside = 0;
  for (int i = 0; i < 500; ++i) {
    if (!band.Inside(3 - 1e-4 * i + noise(engine))) ++outside;
  }
  // 2.5 σ leave out 1.2 %; with an estimated σ a little more.
  EXPECT_GT(outside, 0);
  EXPECT_LE(outside, 25);
  EXPECT_FALSE(band.Inside(4));
  EXPECT_FALSE(band.Inside(2));
}

TEST(LossBandTest, WidthIsTwoAndAHalfDeviations) {
  // Alternating ±1 around 0: mean near 0, variance near 1.
  LossBand band;
  for (int i = 0; i < 400; ++i) band.Inside(i % 2 == 0 ? 1 : -1);
  LossBand copy = band;
  EXPECT_TRUE(band.Inside(2.4));
  EXPECT_FALSE(copy.Inside(2.7));
}

TEST(LossBandTest, AbsentAndNonFiniteAreOutsideAndForgotten) {
  LossBand band;
  EXPECT_FALSE(band.Inside(std::nullopt));
  EXPECT_FALSE(band.Inside(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(band.Inside(std::numeric_limits<double>::infinity()));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(band.Inside(2));
  EXPECT_FALSE(band.Inside(2.1));
}

}  // namespace
}  // namespace muster::detect
