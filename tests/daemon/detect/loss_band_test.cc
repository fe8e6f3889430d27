#include "daemon/detect/loss_band.h"

#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

// Frames of ever greater step.
class LossBandTest : public ::testing::Test {
 protected:
  // Returns its step.
  uint64_t Add(std::optional<double> loss) {
    band_.Take(next_, loss);
    return next_++;
  }
  // Losses −1 and 1 by turns: mean near 0, variance near 1. Returns the step of
  // the last.
  uint64_t AddSteady(int count) {
    for (int i = 0; i < count; ++i) Add(next_ % 2 == 0 ? 1 : -1);
    return next_ - 1;
  }

  LossBand band_;
  uint64_t next_ = 0;
};

TEST_F(LossBandTest, FirstLossesAreNotJudged) {
  for (int i = 0; i < 32; ++i) {
    Add(i % 2 == 0 ? 1 : 100);
    EXPECT_TRUE(band_.Silent(0)) << i;
  }
  Add(1e6);
  EXPECT_FALSE(band_.Silent(0));
}

TEST_F(LossBandTest, WidthIsTwoAndAHalfDeviations) {
  AddSteady(400);
  const LossBand copy = band_;
  Add(2.4);
  Add(-2.4);
  EXPECT_TRUE(band_.Silent(400));
  band_ = copy;
  next_ = 400;
  Add(2.8);
  Add(-2.8);
  EXPECT_FALSE(band_.Silent(400));
}

TEST_F(LossBandTest, LossThatIsNotFiniteIsNeverSilentAndEntersNoAverage) {
  const uint64_t healthy = AddSteady(400);
  for (const double loss : {std::numeric_limits<double>::quiet_NaN(),
                            -std::numeric_limits<double>::infinity()}) {
    const uint64_t step = Add(loss);
    EXPECT_FALSE(band_.Silent(step));
    EXPECT_FALSE(band_.Silent(healthy));
    EXPECT_TRUE(band_.Silent(Add(1)));
  }
  Add(2.8);
  Add(-2.8);
  EXPECT_FALSE(band_.Silent(next_ - 2));
}

TEST_F(LossBandTest, WhatChanceDoesIsSilent) {
  AddSteady(400);
  Add(2.8);
  EXPECT_TRUE(band_.Silent(400));  // one alarm in one frame: 1.5 %
  const uint64_t second = Add(-2.8);
  // Two alarms, by the exact tails of the binomial distribution.
  EXPECT_FALSE(band_.Silent(second - 9));  // in 10 frames: 0.93 %
  EXPECT_TRUE(band_.Silent(second - 10));  // in 11 frames: 1.1 %
  // They stay, and become what a longer time explains.
  EXPECT_FALSE(band_.Silent(AddSteady(8) - 9));
  AddSteady(1);
  EXPECT_TRUE(band_.Silent(400));
  // Alarms before the evidence are nothing to it.
  EXPECT_TRUE(band_.Silent(401));
}

TEST_F(LossBandTest, OneLossFarOutsideIsNoChance) {
  AddSteady(400);
  Add(9.5);
  EXPECT_TRUE(band_.Silent(400));
  AddSteady(400);
  const uint64_t far = Add(11);
  EXPECT_FALSE(band_.Silent(far));
  AddSteady(100);
  EXPECT_FALSE(band_.Silent(far));
  EXPECT_TRUE(band_.Silent(far + 1));
}

TEST_F(LossBandTest, HealthyLossesAreSilent) {
  std::mt19937_64 engine(1);
  std::normal_distribution<double> noise(0, 0.1);
  AddSteady(1);
  int not_silent = 0;
  constexpr int kQuestions = 20'000;
  for (int i = 0; i < kQuestions; ++i) {
    const uint64_t first = next_;
    for (int k = 0; k < 10; ++k) {
      Add(3 - 1e-6 * static_cast<double>(next_) + noise(engine));
    }
    if (!band_.Silent(first)) ++not_silent;
  }
  // Two alarms in ten frames: 0.93 %, a little more as they come in clusters.
  EXPECT_LT(not_silent, kQuestions / 50);
  EXPECT_GT(not_silent, kQuestions / 500);
}

TEST_F(LossBandTest, FramesWithoutALossCountForNothing) {
  EXPECT_FALSE(band_.Silent(0));
  Add(std::nullopt);
  Add(std::nullopt);
  EXPECT_FALSE(band_.Silent(0));
  next_ = 4;
  AddSteady(400);
  EXPECT_TRUE(band_.Silent(0));
  const uint64_t none = Add(std::nullopt);
  EXPECT_FALSE(band_.Silent(none));
  EXPECT_TRUE(band_.Silent(none - 1));
  const uint64_t alarm = Add(2.8);
  for (int i = 0; i < 20; ++i) Add(std::nullopt);
  Add(-2.8);
  EXPECT_FALSE(band_.Silent(alarm));
}

TEST_F(LossBandTest, EvidenceThatNoFrameHasYetIsHeldAgainstTheNewest) {
  AddSteady(400);
  EXPECT_TRUE(band_.Silent(1'000));
  Add(50);
  EXPECT_FALSE(band_.Silent(1'000));
}

TEST_F(LossBandTest, TheNewest4096FramesAreKept) {
  AddSteady(400);
  const uint64_t far = Add(11);
  AddSteady(4'095);
  EXPECT_FALSE(band_.Silent(far));
  AddSteady(1);
  EXPECT_TRUE(band_.Silent(far));
}

TEST_F(LossBandTest, ARewindForgetsFramesAndKeepsTheBand) {
  AddSteady(400);
  Add(11);
  next_ = 380;
  AddSteady(1);
  EXPECT_TRUE(band_.Silent(0));
  Add(80);
  EXPECT_FALSE(band_.Silent(0));
}

}  // namespace
}  // namespace muster::detect
