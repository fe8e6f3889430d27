#include "daemon/detect/sign_test.h"

#include <cmath>
#include <cstdint>

#include "gtest/gtest.h"

namespace muster::detect {
namespace {

// Over all 2ⁿ sequences of fair votes the mean of the statistic is n exactly:
// what the guarantee rests on.
TEST(SignTestTest, MeanUnderTheNullIsTheNumberOfVotes) {
  constexpr uint32_t kVotes = 12;
  double sum = 0;
  for (uint32_t sequence = 0; sequence < (1u << kVotes); ++sequence) {
    SignTest test;
    for (uint32_t vote = 0; vote < kVotes; ++vote) {
      test.Add((sequence >> vote & 1) != 0, vote);
    }
    sum += test.statistic();
  }
  EXPECT_NEAR(sum / (1u << kVotes), kVotes, 1e-9);
}

// n votes above: each W is the geometric sum of (1 + λ)^k for k = 1 … n.
TEST(SignTestTest, GrowsAsTheSumOfPowers) {
  SignTest test;
  for (int i = 0; i < 20; ++i) test.Add(true, i);
  double expected = 0;
  for (double stake : {0.25, 0.5, 0.75, 0.95}) {
    expected += (std::pow(1 + stake, 21) - (1 + stake)) / stake / 4;
  }
  EXPECT_NEAR(test.statistic() / expected, 1, 1e-12);
}

TEST(SignTestTest, TheOnsetIsWhereVotesBeganToAgree) {
  SignTest test;
  for (uint64_t step = 0; step < 50; ++step) test.Add(step % 2 == 0, step);
  for (uint64_t step = 50; step < 90; ++step) test.Add(true, step);
  EXPECT_GE(test.onset_step(), 48u);
  EXPECT_LE(test.onset_step(), 50u);
  EXPECT_EQ(test.onset_votes(), 90 - test.onset_step());
  test.Restart();
  EXPECT_EQ(test.statistic(), 0);
}

}  // namespace
}  // namespace muster::detect
