#include "daemon/detect/zero_gradients.h"

#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

using Counts = std::vector<std::optional<uint32_t>>;  // by rank

std::vector<Finding> Step(ZeroGradients& detector, uint64_t step,
                          const Counts& counts) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < counts.size(); ++rank) {
    reports.push_back(testing::MakeReport(rank, step));
    reports.back().zero_gradient_tensors = counts[rank];
  }
  return Judge(detector, testing::MakeFrame(step, std::move(reports)));
}

TEST(ZeroGradientsTest, SameCountsAreHealthy) {
  ZeroGradients detector;
  for (uint64_t step = 0; step < 10; ++step) {
    EXPECT_TRUE(Step(detector, step, {2, 2, 2, 2}).empty());
  }
}

TEST(ZeroGradientsTest, NamesTheRankInItsThirdFrame) {
  ZeroGradients detector;
  EXPECT_TRUE(Step(detector, 0, {2, 2, 4, 2}).empty());
  EXPECT_TRUE(Step(detector, 1, {2, 2, 4, 2}).empty());
  const auto findings = Step(detector, 2, {2, 2, 4, 2});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, Kind::kFactMismatch);
  EXPECT_EQ(findings[0].subject, "zero_gradient_tensors");
  EXPECT_EQ(findings[0].ranks, (Ranks{2}));
  EXPECT_EQ(findings[0].value, 4);
  EXPECT_EQ(findings[0].expected, 2);
  EXPECT_EQ(findings[0].evidence,
            "Rank 2 has 4 gradient tensors that are all zero, in 3 steps in a "
            "row or more; most ranks have 2.");
}

TEST(ZeroGradientsTest, OneHealthyFrameStartsTheCountAgain) {
  ZeroGradients detector;
  for (uint64_t step = 0; step < 30; ++step) {
    const uint32_t count = step % 3 == 2 ? 0 : 1;
    EXPECT_TRUE(Step(detector, step, {0, count, 0}).empty());
  }
}

TEST(ZeroGradientsTest, CountsThatVaryOverAllRanksAreNobodysFault) {
  ZeroGradients detector;
  for (uint32_t step = 0; step < 10; ++step) {
    EXPECT_TRUE(Step(detector, step, {0, 1, 2, 3, 4, 4}).empty());
  }
}

TEST(ZeroGradientsTest, OfTwoRanksBothAreNamed) {
  ZeroGradients detector;
  Step(detector, 0, {0, 1});
  Step(detector, 1, {0, 1});
  const auto findings = Step(detector, 2, {0, 1});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].ranks, (Ranks{0, 1}));
}

TEST(ZeroGradientsTest, RanksThatDoNotCountAreNotCompared) {
  ZeroGradients detector;
  for (uint64_t step = 0; step < 10; ++step) {
    EXPECT_TRUE(Step(detector, step, {0, std::nullopt, 0}).empty());
    EXPECT_TRUE(Step(detector, step, {7, std::nullopt}).empty());
  }
}

TEST(ZeroGradientsTest, ClearsAfterThreeHealthyFramesOfTheRank) {
  ZeroGradients detector;
  uint64_t step = 0;
  for (; step < 4; ++step) Step(detector, step, {0, 0, 1});
  EXPECT_TRUE(Step(detector, step++, {0, 0, 0}).empty());
  EXPECT_TRUE(Step(detector, step++, {0, 0, 1}).empty());
  EXPECT_TRUE(Step(detector, step++, {0, 0, 0}).empty());
  EXPECT_TRUE(Step(detector, step++, {0, 0, 0}).empty());
  const auto findings = Step(detector, step++, {0, 0, 0});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
  EXPECT_EQ(findings[0].ranks, (Ranks{2}));
}

TEST(ZeroGradientsTest, AnotherWorldSizeStartsAgain) {
  ZeroGradients detector;
  for (uint64_t step = 0; step < 3; ++step) Step(detector, step, {0, 0, 1});
  frames::AttemptBegan began;
  began.world_size_changed = true;
  const auto findings = Take(detector, began);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
  EXPECT_TRUE(Step(detector, 3, {0, 0, 1}).empty());
}

}  // namespace
}  // namespace muster::detect
