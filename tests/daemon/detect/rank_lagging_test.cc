#include "daemon/detect/rank_lagging.h"

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"

namespace muster::detect {
namespace {

// Reports arrive after so many seconds, one for each rank; −1: absent.
std::vector<Finding> Arrive(RankLagging& detector, uint64_t step,
                            const std::vector<double>& delays) {
  MeasuredFrame frame(static_cast<uint32_t>(delays.size()));
  frame.SetStep(step);
  frame.measures.ranks.clear();
  for (uint32_t rank = 0; rank < delays.size(); ++rank) {
    if (delays[rank] < 0) continue;
    auto& each = frame.measures.ranks.emplace_back();
    each.rank = rank;
    each.arrival_delay_seconds = delays[rank];
  }
  return Judge(detector, frame);
}

RankLagging AfterFiveSeconds() {
  DetectOptions options;
  options.rank_lagging_after = absl::Seconds(5);
  return RankLagging(options);
}

TEST(RankLaggingTest, NamesARankThatIsLateInThreeFrames) {
  RankLagging detector = AfterFiveSeconds();
  EXPECT_TRUE(Arrive(detector, 7, {0, 1, 6.5, 0.5}).empty());
  EXPECT_TRUE(Arrive(detector, 8, {0, 1, 6.5, 0.5}).empty());
  const auto findings = Arrive(detector, 9, {0, 1, 6.5, 0.5});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, Kind::kRankLagging);
  EXPECT_EQ(findings[0].ranks, Ranks{2});
  EXPECT_EQ(findings[0].first_step, 7u);
  EXPECT_EQ(findings[0].last_step, 9u);
  // The median of 0, 0.5, 1 and 6.5, the lower one.
  EXPECT_DOUBLE_EQ(findings[0].value, 6);
  EXPECT_EQ(findings[0].expected, 5);
  EXPECT_EQ(findings[0].evidence,
            "Rank 2's report of step 9 came 6.0 seconds after the median "
            "rank's, as late as that in 3 steps in a row; allowed are 5.0.");
}

TEST(RankLaggingTest, OneSlowStepIsNone) {
  RankLagging detector = AfterFiveSeconds();
  for (uint64_t step = 0; step < 20; ++step) {
    EXPECT_TRUE(Arrive(detector, step, {0, step % 3 == 0 ? 1.0 : 9.0}).empty());
  }
}

TEST(RankLaggingTest, AllLateTogetherIsNone) {
  RankLagging detector = AfterFiveSeconds();
  for (uint64_t step = 0; step < 20; ++step) {
    EXPECT_TRUE(Arrive(detector, step, {0, 20, 20, 20}).empty());
  }
}

// Between half the deadline and the deadline nothing changes.
TEST(RankLaggingTest, ClearsWithHysteresis) {
  RankLagging detector = AfterFiveSeconds();
  for (uint64_t step = 0; step < 3; ++step) Arrive(detector, step, {0, 9});
  for (uint64_t step = 3; step < 9; ++step) {
    EXPECT_TRUE(Arrive(detector, step, {0, 4}).empty());
  }
  EXPECT_TRUE(Arrive(detector, 9, {0, 1}).empty());
  EXPECT_TRUE(Arrive(detector, 10, {0, 1}).empty());
  EXPECT_TRUE(Arrive(detector, 11, {0, 3}).empty());  // begins anew
  EXPECT_TRUE(Arrive(detector, 12, {0, -1}).empty());
  EXPECT_TRUE(Arrive(detector, 13, {0, 1}).empty());
  EXPECT_TRUE(Arrive(detector, 14, {0, 1}).empty());
  const auto findings = Arrive(detector, 15, {0, 1});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
  EXPECT_EQ(findings[0].ranks, Ranks{1});
  EXPECT_EQ(findings[0].first_step, 0u);
}

TEST(RankLaggingTest, ANewAttemptClears) {
  RankLagging detector = AfterFiveSeconds();
  for (uint64_t step = 0; step < 3; ++step) Arrive(detector, step, {0, 9});
  EXPECT_EQ(Take(detector, frames::AttemptBegan{}).size(), 1u);
  EXPECT_TRUE(Take(detector, frames::RunEnded{}).empty());
}

}  // namespace
}  // namespace muster::detect
