#include "daemon/detect/duplicate_groups.h"

#include <random>

#include "daemon/consistency/measure.h"
#include "gtest/gtest.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

using Groups = std::vector<size_t>;

std::vector<double> RandomGradient(uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  std::vector<double> gradient(256);
  for (double& value : gradient) value = normal(engine);
  return gradient;
}

Groups GroupsOf(const frames::Frame& frame) {
  return GroupDuplicates(frame, consistency::FindLookalikes(frame));
}

TEST(DuplicateGroupsTest, DifferentRanksAreAlone) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < 5; ++rank) {
    reports.push_back(
        testing::MakeReport(rank, 0, 2 + 0.1 * rank, RandomGradient(rank)));
  }
  EXPECT_EQ(GroupsOf(testing::MakeFrame(0, reports)), (Groups{0, 1, 2, 3, 4}));
}

TEST(DuplicateGroupsTest, LinksEqualLossNormAndDirection) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < 4; ++rank) {
    const uint64_t data = rank % 2;
    reports.push_back(
        testing::MakeReport(rank, 0, 2.0 + data, RandomGradient(data)));
  }
  *reports[2].loss *= 1 + 5e-6;
  *reports[2].gradient_norm *= 1 - 5e-6;
  EXPECT_EQ(GroupsOf(testing::MakeFrame(0, reports)), (Groups{0, 1, 0, 1}));
}

TEST(DuplicateGroupsTest, EachOfTheThreeMustAgree) {
  const frames::Report first =
      testing::MakeReport(0, 0, 2.0, RandomGradient(1));
  frames::Report second = testing::MakeReport(1, 0, 2.0, RandomGradient(1));
  const auto linked = [&] {
    return GroupsOf(testing::MakeFrame(0, {first, second}))[1] == 0;
  };
  EXPECT_TRUE(linked());
  second.loss = 2.0 * (1 + 2e-5);
  EXPECT_FALSE(linked());
  second.loss = 2.0;
  *second.gradient_norm *= 1 + 2e-5;
  EXPECT_FALSE(linked());
  second = testing::MakeReport(1, 0, 2.0, RandomGradient(2));
  second.gradient_norm = first.gradient_norm;
  EXPECT_FALSE(linked());
}

TEST(DuplicateGroupsTest, FindsPairsAmongEqualLossesAndNorms) {
  // All losses and norms equal, directions in two kinds, interleaved.
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < 6; ++rank) {
    reports.push_back(
        testing::MakeReport(rank, 0, 2.0, RandomGradient(rank % 2)));
    reports.back().gradient_norm = 1;
  }
  EXPECT_EQ(GroupsOf(testing::MakeFrame(0, reports)),
            (Groups{0, 1, 0, 1, 0, 1}));
}

TEST(DuplicateGroupsTest, ZeroLossZeroGradientAndMissingValuesLinkNothing) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < 2; ++rank) {
    reports.push_back(testing::MakeReport(rank, 0, 0.0, RandomGradient(1)));
  }
  EXPECT_EQ(GroupsOf(testing::MakeFrame(0, reports)), (Groups{0, 1}));
  for (auto& report : reports) {
    report =
        testing::MakeReport(report.rank, 0, 1.0, std::vector<double>(256, 0.0));
  }
  EXPECT_EQ(GroupsOf(testing::MakeFrame(0, reports)), (Groups{0, 1}));
  for (auto& report : reports) report = testing::MakeReport(report.rank, 0);
  EXPECT_EQ(GroupsOf(testing::MakeFrame(0, reports)), (Groups{0, 1}));
  EXPECT_EQ(GroupsOf(testing::MakeFrame(0, {})), Groups{});
}

TEST(DuplicateGroupsTest, SummedGradientsOfTwoBackwardPassesLinkNothing) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < 2; ++rank) {
    reports.push_back(testing::MakeReport(rank, 0, 2.0, RandomGradient(1)));
    reports.back().multiple_backward = true;
  }
  EXPECT_EQ(GroupsOf(testing::MakeFrame(0, reports)), (Groups{0, 1}));
}

TEST(DuplicateGroupsTest, LinksEqualSamplesInAnyOrder) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < 4; ++rank) {
    reports.push_back(testing::MakeReport(rank, 0, 2.0 + rank));
  }
  reports[0].sample_ids = {1, 2, 3};
  reports[1].sample_ids = {1, 2, 2};
  reports[2].sample_ids = {3, 1, 2};
  reports[3].sample_ids = {1, 2, 3, 4};
  EXPECT_EQ(GroupsOf(testing::MakeFrame(0, reports)), (Groups{0, 1, 0, 3}));
}

TEST(DuplicateGroupsTest, SamplesAndLookalikesConnectOneGroup) {
  std::vector<frames::Report> reports;
  for (uint32_t rank : {1, 3, 4, 6}) {
    reports.push_back(testing::MakeReport(rank, 0, 2.0 + rank));
  }
  reports[0].sample_ids = reports[3].sample_ids = {1, 2};
  const frames::Frame frame = testing::MakeFrame(0, reports, 8);
  EXPECT_EQ(GroupDuplicates(frame, {{3, 6}}), (Groups{0, 0, 2, 0}));
  // Rank 5 is not there.
  EXPECT_EQ(GroupDuplicates(frame, {{4, 5}}), (Groups{0, 1, 2, 0}));
}

}  // namespace
}  // namespace muster::detect
