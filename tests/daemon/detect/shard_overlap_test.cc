#include "daemon/detect/shard_overlap.h"

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"

namespace muster::detect {
namespace {

// Eight ranks in epoch `epoch`, 1,000 samples each, nothing shared.
MeasuredFrame Healthy(uint64_t step, uint64_t epoch) {
  MeasuredFrame frame(8);
  frame.SetStep(step);
  consistency::SampleMeasures samples;
  samples.epoch = epoch;
  samples.kept = 8000;
  samples.distinct = 8000;
  samples.undrawn_share = 0.25;
  frame.measures.samples = samples;
  for (auto& rank : frame.measures.ranks) rank.samples.emplace().drawn = 1000;
  return frame;
}

// A share of all is shared, by these ranks.
MeasuredFrame Overlapping(uint64_t step, uint64_t epoch, double share,
                          const Ranks& ranks) {
  MeasuredFrame frame = Healthy(step, epoch);
  frame.measures.samples->shared_share = share;
  for (uint32_t rank : ranks) {
    frame.measures.ranks[rank].samples->shared_share = share * 4;
  }
  return frame;
}

std::map<std::string, Finding> BySubject(const std::vector<Finding>& findings) {
  std::map<std::string, Finding> by_subject;
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.kind, Kind::kShardOverlap);
    EXPECT_TRUE(by_subject.emplace(finding.subject, finding).second);
  }
  return by_subject;
}

TEST(ShardOverlapTest, NothingRecordedOrSharedIsHealthy) {
  ShardOverlap detector;
  EXPECT_TRUE(Judge(detector, MeasuredFrame(8)).empty());
  EXPECT_TRUE(Judge(detector, Healthy(1, 0)).empty());
}

TEST(ShardOverlapTest, NamesThoseThatShare) {
  ShardOverlap detector;
  const auto findings =
      BySubject(Judge(detector, Overlapping(5, 2, 0.125, {3, 6})));
  ASSERT_EQ(findings.size(), 1u);
  const Finding& finding = findings.at("overlap");
  EXPECT_EQ(finding.ranks, (Ranks{3, 6}));
  EXPECT_EQ(finding.value, 0.125);
  EXPECT_DOUBLE_EQ(finding.expected, 7.0 / 8000);
  EXPECT_EQ(finding.evidence,
            "12.5% of the 8000 samples drawn in epoch 2 so far were drawn by "
            "more than one rank, by ranks 3 and 6 above all; 25% of the data "
            "set has been drawn by nobody yet.");
}

TEST(ShardOverlapTest, WhereMostShareItIsTheRun) {
  ShardOverlap detector;
  const auto findings = BySubject(
      Judge(detector, Overlapping(5, 2, 0.125, {0, 1, 2, 3, 4, 5, 6, 7})));
  EXPECT_EQ(findings.at("overlap").ranks, Ranks{});
}

TEST(ShardOverlapTest, PaddingOfASmallDataSetIsHealthy) {
  ShardOverlap detector;
  MeasuredFrame frame = Overlapping(5, 0, 7.0 / 300, {0, 7});
  frame.measures.samples->kept = 300;
  frame.measures.samples->distinct = 300;
  EXPECT_TRUE(Judge(detector, frame).empty());
  frame.measures.samples->shared_share = 8.0 / 300;
  EXPECT_EQ(Judge(detector, frame).size(), 1u);
}

TEST(ShardOverlapTest, LittleOverlapOrFewSamplesSayNothing) {
  ShardOverlap detector;
  EXPECT_TRUE(Judge(detector, Overlapping(5, 0, 0.01, {0, 1})).empty());
  MeasuredFrame early = Overlapping(5, 0, 0.5, {0, 1});
  early.measures.samples->kept = 8 * 32 - 1;
  EXPECT_TRUE(Judge(detector, early).empty());
  early.measures.samples->kept = 8 * 32;
  EXPECT_EQ(Judge(detector, early).size(), 1u);
}

TEST(ShardOverlapTest, EstimateMustExceedItsError) {
  ShardOverlap detector;
  MeasuredFrame frame = Overlapping(5, 0, 0.02, {0, 1});
  frame.measures.samples->shared_error = 0.005;
  EXPECT_TRUE(Judge(detector, frame).empty());
  frame.measures.samples->shared_error = 0.004;
  const auto findings = BySubject(Judge(detector, frame));
  EXPECT_NE(findings.at("overlap").evidence.find("(± 0.4%)"),
            std::string::npos);
}

TEST(ShardOverlapTest, DrawingWithReplacementIsNotJudged) {
  ShardOverlap detector;
  MeasuredFrame frame = Overlapping(5, 0, 0.5, {0, 1});
  frame.measures.ranks[4].samples->repeat_share = 0.5;
  frame.measures.samples->with_replacement = true;
  EXPECT_TRUE(Judge(detector, frame).empty());
}

TEST(ShardOverlapTest, NamesTheRankThatRepeats) {
  ShardOverlap detector;
  MeasuredFrame frame = Healthy(5, 1);
  frame.measures.ranks[4].samples->repeat_share = 0.75;
  frame.measures.ranks[4].samples->drawn = 8;
  const auto findings = BySubject(Judge(detector, frame));
  ASSERT_EQ(findings.size(), 1u);
  const Finding& finding = findings.at("repeats");
  EXPECT_EQ(finding.ranks, (Ranks{4}));
  EXPECT_EQ(finding.value, 0.75);
  EXPECT_EQ(finding.evidence,
            "Rank 4 draws the same samples again within epoch 1: 75% of rank "
            "4's draws so far were repeats.");
  // 7 samples over a quarter are 28 draws.
  ShardOverlap other;
  frame.measures.ranks[4].samples->drawn = 7;
  EXPECT_TRUE(Judge(other, frame).empty());
}

TEST(ShardOverlapTest, OldOrderIsJudgedWhereRanksShuffle) {
  ShardOverlap detector;
  MeasuredFrame frame = Healthy(5, 1);
  for (auto& rank : frame.measures.ranks) rank.samples->same_order = true;
  EXPECT_TRUE(Judge(detector, frame).empty());
  frame.measures.samples->shuffled = true;
  auto findings = BySubject(Judge(detector, frame));
  EXPECT_EQ(findings.at("order").ranks, Ranks{});
  EXPECT_EQ(findings.at("order").value, 8);

  ShardOverlap other;
  for (uint32_t rank = 1; rank < 8; ++rank) {
    frame.measures.ranks[rank].samples->same_order = false;
  }
  findings = BySubject(Judge(other, frame));
  EXPECT_EQ(findings.at("order").ranks, (Ranks{0}));
}

TEST(ShardOverlapTest, ClearsAtTheEndOfALaterEpoch) {
  ShardOverlap detector;
  Judge(detector, Overlapping(5, 2, 0.125, {3, 6}));
  MeasuredFrame end = Healthy(9, 2);
  end.measures.samples->closed = true;
  EXPECT_TRUE(Judge(detector, end).empty());
  EXPECT_TRUE(Judge(detector, Healthy(10, 3)).empty());
  end = Healthy(15, 3);
  end.measures.samples->closed = true;
  const auto findings = Judge(detector, end);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
  EXPECT_EQ(findings[0].ranks, (Ranks{3, 6}));
}

TEST(ShardOverlapTest, NewAttemptClears) {
  ShardOverlap detector;
  Judge(detector, Overlapping(5, 2, 0.125, {3, 6}));
  EXPECT_EQ(Take(detector, frames::AttemptBegan{}).size(), 1u);
  EXPECT_TRUE(Take(detector, frames::AttemptBegan{}).empty());
}

}  // namespace
}  // namespace muster::detect
