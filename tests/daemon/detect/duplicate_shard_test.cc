#include "daemon/detect/duplicate_shard.h"

#include <random>

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

// Ranks of equal `data` train on the same samples; 0: absent.
frames::Frame MakeFrame(uint64_t step, const std::vector<int>& data,
                        uint32_t attempt = 1) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < data.size(); ++rank) {
    if (data[rank] == 0) continue;
    std::mt19937_64 engine(1000 * step + data[rank]);
    std::normal_distribution<double> normal;
    std::vector<double> gradient(128);
    for (double& value : gradient) value = normal(engine);
    reports.push_back(
        testing::MakeReport(rank, step, 3 + normal(engine), gradient));
  }
  return testing::MakeFrame(step, std::move(reports),
                            static_cast<uint32_t>(data.size()), attempt);
}

class DuplicateShardTest : public ::testing::Test {
 protected:
  DuplicateShard detector_{DetectOptions{}};
};

TEST_F(DuplicateShardTest, DifferentDataSaysNothing) {
  for (uint64_t step = 0; step < 50; ++step) {
    EXPECT_TRUE(Judge(detector_, MakeFrame(step, {1, 2, 3, 4})).empty());
  }
}

TEST_F(DuplicateShardTest, FiresAfterThreeFramesAndNamesAll) {
  EXPECT_TRUE(Judge(detector_, MakeFrame(5, {1, 2, 1, 1})).empty());
  EXPECT_TRUE(Judge(detector_, MakeFrame(6, {1, 2, 1, 1})).empty());
  const auto findings = Judge(detector_, MakeFrame(7, {1, 2, 1, 1}));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, Kind::kDuplicateShard);
  EXPECT_EQ(findings[0].subject, "data");
  EXPECT_EQ(findings[0].ranks, (Ranks{0, 2, 3}));
  EXPECT_EQ(findings[0].first_step, 5u);
  EXPECT_EQ(findings[0].last_step, 7u);
  EXPECT_EQ(findings[0].value, 3);
  EXPECT_EQ(findings[0].evidence,
            "Ranks 0, 2 and 3 train on the same data: loss and gradient norm "
            "are equal to 1e-05 and the cosine of their gradients is at least "
            "0.9999, in 3 steps in a row.");
  EXPECT_EQ(CountRaises(Judge(detector_, MakeFrame(8, {1, 2, 1, 1}))), 1u);
}

TEST_F(DuplicateShardTest, RowMustNotBreak) {
  for (uint64_t step = 0; step < 30; ++step) {
    const int second = step % 3 == 2 ? 2 : 1;
    EXPECT_TRUE(Judge(detector_, MakeFrame(step, {1, second, 3})).empty());
  }
}

TEST_F(DuplicateShardTest, ChangingPartnersAreNoRow) {
  for (uint64_t step = 0; step < 30; ++step) {
    const std::vector<int> data =
        step % 2 == 0 ? std::vector<int>{1, 1, 2} : std::vector<int>{1, 2, 1};
    EXPECT_TRUE(Judge(detector_, MakeFrame(step, data)).empty());
  }
}

TEST_F(DuplicateShardTest, TwoGroupsAreTwoFindings) {
  std::vector<Finding> findings;
  for (uint64_t step = 0; step < 3; ++step) {
    findings = Judge(detector_, MakeFrame(step, {1, 2, 1, 2}));
  }
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].ranks, (Ranks{0, 2}));
  EXPECT_EQ(findings[1].ranks, (Ranks{1, 3}));
}

TEST_F(DuplicateShardTest, ClearsAfterNineFramesWithout) {
  uint64_t step = 0;
  for (; step < 3; ++step) Judge(detector_, MakeFrame(step, {1, 1, 2}));
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(Judge(detector_, MakeFrame(step++, {1, 2, 3})).empty()) << i;
  }
  const auto findings = Judge(detector_, MakeFrame(step, {1, 2, 3}));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
  EXPECT_EQ(findings[0].ranks, (Ranks{0, 1}));
}

TEST_F(DuplicateShardTest, AbsentMemberKeepsTheAlertWhole) {
  uint64_t step = 0;
  for (; step < 3; ++step) Judge(detector_, MakeFrame(step, {1, 1, 1}));
  for (int i = 0; i < 20; ++i) {
    const auto findings = Judge(detector_, MakeFrame(step++, {1, 1, 0}));
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].phase, Phase::kRaise);
    EXPECT_EQ(findings[0].ranks, (Ranks{0, 1, 2}));
  }
}

TEST_F(DuplicateShardTest, LargerGroupTakesThePlaceOfItsPart) {
  uint64_t step = 0;
  for (; step < 3; ++step) Judge(detector_, MakeFrame(step, {1, 1, 2}));
  std::vector<Finding> findings;
  for (; step < 6; ++step) {
    findings = Judge(detector_, MakeFrame(step, {1, 1, 1}));
  }
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].phase, Phase::kReplaced);
  EXPECT_EQ(findings[0].ranks, (Ranks{0, 1}));
  EXPECT_EQ(findings[1].phase, Phase::kRaise);
  EXPECT_EQ(findings[1].ranks, (Ranks{0, 1, 2}));
  EXPECT_EQ(findings[1].first_step, 0u);
}

TEST_F(DuplicateShardTest, SamplesAreEnoughAndAreTold) {
  std::vector<Finding> findings;
  for (uint64_t step = 0; step < 3; ++step) {
    frames::Frame frame = MakeFrame(step, {1, 2, 3});
    frame.reports[0].sample_ids = {10 * step, 10 * step + 1};
    frame.reports[1].sample_ids = {10 * step + 5, 10 * step + 6};
    frame.reports[2].sample_ids = {10 * step + 1, 10 * step};
    findings = Judge(detector_, frame);
  }
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].evidence,
            "Ranks 0 and 2 train on the same data: they drew the same 2 "
            "samples, in 3 steps in a row.");
}

TEST_F(DuplicateShardTest, RowDoesNotReachAcrossAttempts) {
  Judge(detector_, MakeFrame(5, {1, 1, 2}));
  Judge(detector_, MakeFrame(6, {1, 1, 2}));
  EXPECT_TRUE(Judge(detector_, MakeFrame(6, {1, 1, 2}, 2)).empty());
}

TEST_F(DuplicateShardTest, NewWorldSizeClears) {
  for (uint64_t step = 0; step < 3; ++step) {
    Judge(detector_, MakeFrame(step, {1, 1, 2}));
  }
  frames::AttemptBegan began;
  began.world_size = 2;
  began.world_size_changed = true;
  const auto findings = Take(detector_, began);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kReplaced);
}

}  // namespace
}  // namespace muster::detect
