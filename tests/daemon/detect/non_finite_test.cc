#include "daemon/detect/non_finite.h"

#include <limits>

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

frames::Frame MakeFrame(uint64_t step, uint32_t ranks = 3) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    reports.push_back(testing::MakeReport(rank, step, 1.5));
    reports.back().elements_observed = 1000;
  }
  return testing::MakeFrame(step, std::move(reports));
}

class NonFiniteTest : public ::testing::Test {
 protected:
  NonFinite detector_{DetectOptions{}};
};

TEST_F(NonFiniteTest, FiniteFramesSayNothing) {
  for (uint64_t step = 0; step < 100; ++step) {
    EXPECT_TRUE(Judge(detector_, MakeFrame(step)).empty());
  }
}

TEST_F(NonFiniteTest, LossFiresAtOnceAndNamesRankAndStep) {
  frames::Frame frame = MakeFrame(42);
  frame.reports[1].loss = kNaN;
  const auto findings = Judge(detector_, frame);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, Kind::kNonFinite);
  EXPECT_EQ(findings[0].phase, Phase::kRaise);
  EXPECT_EQ(findings[0].subject, "loss");
  EXPECT_EQ(findings[0].ranks, Ranks{1});
  EXPECT_EQ(findings[0].first_step, 42u);
  EXPECT_EQ(findings[0].last_step, 42u);
  EXPECT_EQ(findings[0].evidence, "Rank 1's loss is NaN at step 42.");
}

TEST_F(NonFiniteTest, InfinityIsSpelledWithItsSign) {
  frames::Frame frame = MakeFrame(1);
  frame.reports[0].loss = kInfinity;
  frame.reports[2].loss = -kInfinity;
  const auto findings = Judge(detector_, frame);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].evidence, "Rank 0's loss is +infinity at step 1.");
  EXPECT_EQ(findings[1].evidence, "Rank 2's loss is -infinity at step 1.");
}

TEST_F(NonFiniteTest, GradientCountsElements) {
  frames::Frame frame = MakeFrame(7);
  frame.reports[2].nonfinite_count = 17;
  const auto findings = Judge(detector_, frame);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].subject, "gradient");
  EXPECT_EQ(findings[0].value, 17);
  EXPECT_EQ(findings[0].expected, 0);
  EXPECT_EQ(findings[0].evidence,
            "Rank 2's gradient has 17 NaN or infinite elements of 1000 at step "
            "7.");
}

TEST_F(NonFiniteTest, SaysWhoWasFirst) {
  frames::Frame frame = MakeFrame(7);
  frame.reports[2].nonfinite_count = 1;
  Judge(detector_, frame);
  frame = MakeFrame(8);
  for (auto& report : frame.reports) report.nonfinite_count = 1000;
  const auto findings = Judge(detector_, frame);
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_NE(findings[0].evidence.find("rank 2 was the first, at step 7"),
            std::string::npos);
  EXPECT_EQ(findings[2].evidence.find("was the first"), std::string::npos);
  EXPECT_EQ(findings[2].first_step, 7u);
}

TEST_F(NonFiniteTest, ClearsAfterSixteenFiniteReports) {
  frames::Frame frame = MakeFrame(0);
  frame.reports[1].loss = kNaN;
  Judge(detector_, frame);
  for (uint64_t step = 1; step <= 15; ++step) {
    EXPECT_TRUE(Judge(detector_, MakeFrame(step)).empty()) << step;
  }
  // A report that is not finite starts the count again.
  frame = MakeFrame(16);
  frame.reports[1].loss = kNaN;
  EXPECT_EQ(CountRaises(Judge(detector_, frame)), 1u);
  // So does not a frame without the rank.
  frame = MakeFrame(17);
  frame.reports.erase(frame.reports.begin() + 1);
  EXPECT_TRUE(Judge(detector_, frame).empty());
  for (uint64_t step = 18; step < 33; ++step) {
    EXPECT_TRUE(Judge(detector_, MakeFrame(step)).empty()) << step;
  }
  const auto findings = Judge(detector_, MakeFrame(33));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
  EXPECT_EQ(findings[0].subject, "loss");
  EXPECT_EQ(findings[0].ranks, Ranks{1});
  EXPECT_EQ(findings[0].evidence, "");
}

TEST_F(NonFiniteTest, LossScalerNeedsFiveInARow) {
  const auto overflow = [&](uint64_t step, bool bad) {
    frames::Frame frame = MakeFrame(step);
    for (auto& report : frame.reports) report.gradient_scale = 65536;
    if (bad) frame.reports[1].nonfinite_count = 3;
    return Judge(detector_, frame);
  };
  uint64_t step = 0;
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(overflow(step++, true).empty());
  EXPECT_TRUE(overflow(step++, false).empty());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(overflow(step++, true).empty());
  const auto findings = overflow(step, true);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].ranks, Ranks{1});
  EXPECT_EQ(findings[0].first_step, step - 4);
  EXPECT_NE(findings[0].evidence.find("5 steps in a row under a loss scaler"),
            std::string::npos);
}

TEST_F(NonFiniteTest, NewWorldSizeClears) {
  frames::Frame frame = MakeFrame(0);
  frame.reports[1].loss = kNaN;
  Judge(detector_, frame);
  frames::AttemptBegan began;
  began.world_size = 3;
  EXPECT_TRUE(Take(detector_, began).empty());
  began.world_size_changed = true;
  const auto findings = Take(detector_, began);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
}

}  // namespace
}  // namespace muster::detect
