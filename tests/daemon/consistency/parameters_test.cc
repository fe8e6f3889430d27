#include "daemon/consistency/parameters.h"

#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/frame_builder.h"

namespace muster::consistency {
namespace {

using testing::MakeFrame;
using testing::MakeReport;

std::string Floats(const std::vector<float>& values) {
  std::string bytes;
  for (float value : values) {
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<char>(bits >> shift & 0xFF));
    }
  }
  return bytes;
}

frames::Report Replica(uint32_t rank, uint64_t fingerprint,
                       std::vector<uint64_t> groups,
                       const std::vector<float>& sketch) {
  frames::Report report = MakeReport(rank, 0);
  report.replica_fingerprint = fingerprint;
  report.replica_groups = std::move(groups);
  report.parameter_sketch = Floats(sketch);
  return report;
}

Measures Replicas(std::vector<frames::Report> reports) {
  const frames::Frame frame = MakeFrame(0, std::move(reports));
  Measures measures;
  for (const frames::Report& report : frame.reports) {
    measures.ranks.emplace_back().rank = report.rank;
  }
  MeasureReplicas(frame, measures);
  MeasureLocalUpdates(frame, measures);
  return measures;
}

TEST(ParametersTest, NothingReportedIsAbsent) {
  const Measures m = Replicas({MakeReport(0, 0), MakeReport(1, 0)});
  EXPECT_EQ(m.replica_values, 0u);
  EXPECT_EQ(m.replica_ranks, 0u);
  EXPECT_FALSE(m.replica_spread);
  EXPECT_FALSE(m.consensus_distance);
  EXPECT_FALSE(m.local_distance_mean);
  EXPECT_FALSE(m.ranks[0].replica_distance);
}

TEST(ParametersTest, EqualReplicasHaveNoSpread) {
  const Measures m =
      Replicas({Replica(0, 7, {1, 2}, {3, 4}), Replica(1, 7, {1, 2}, {3, 4}),
                Replica(2, 7, {1, 2}, {3, 4})});
  EXPECT_EQ(m.replica_values, 1u);
  EXPECT_EQ(m.replica_ranks, 3u);
  EXPECT_TRUE(m.replica_majority);
  EXPECT_TRUE(m.replica_groups.empty());
  EXPECT_EQ(*m.replica_spread, 0);
  for (const RankMeasures& rank : m.ranks) {
    EXPECT_FALSE(rank.replica_differs);
    EXPECT_EQ(*rank.replica_distance, 0);
  }
}

TEST(ParametersTest, MinorityDiffersByItsDistanceFromTheOthers) {
  const Measures m = Replicas({Replica(0, 7, {1, 2, 3}, {3, 4}),
                               Replica(1, 8, {1, 5, 3}, {3, 5}),
                               Replica(2, 7, {1, 2, 3}, {3, 4})});
  EXPECT_EQ(m.replica_values, 2u);
  EXPECT_TRUE(m.replica_majority);
  EXPECT_EQ(m.replica_groups, (std::vector<uint32_t>{1}));
  EXPECT_FALSE(m.ranks[0].replica_differs);
  EXPECT_TRUE(m.ranks[1].replica_differs);
  EXPECT_EQ(*m.ranks[0].replica_distance, 0);
  EXPECT_DOUBLE_EQ(*m.ranks[1].replica_distance, 0.2);  // 1 of 5
  // Mean (3, 13/3); squares 1/9, 4/9, 1/9.
  EXPECT_DOUBLE_EQ(*m.replica_spread,
                   std::sqrt(2.0 / 9) / std::hypot(3, 13.0 / 3));
}

TEST(ParametersTest, WithoutAMajorityAllDifferFromTheMean) {
  const Measures two =
      Replicas({Replica(0, 7, {1}, {3, 4}), Replica(1, 8, {2}, {5, 4})});
  EXPECT_FALSE(two.replica_majority);
  for (const RankMeasures& rank : two.ranks) {
    EXPECT_TRUE(rank.replica_differs);
    EXPECT_DOUBLE_EQ(*rank.replica_distance, 1 / std::hypot(4, 4));
  }
  // Two and two are no majority either; two of one and singles are.
  const Measures tied =
      Replicas({Replica(0, 7, {}, {1}), Replica(1, 7, {}, {1}),
                Replica(2, 8, {}, {2}), Replica(3, 8, {}, {2})});
  EXPECT_FALSE(tied.replica_majority);
  const Measures plural =
      Replicas({Replica(0, 9, {}, {1}), Replica(1, 7, {}, {1}),
                Replica(2, 8, {}, {2}), Replica(3, 7, {}, {2})});
  EXPECT_TRUE(plural.replica_majority);
  EXPECT_TRUE(plural.ranks[0].replica_differs);
  EXPECT_FALSE(plural.ranks[1].replica_differs);
}

TEST(ParametersTest, RankWithoutFingerprintOrSketchIsLeftOut) {
  frames::Report no_sketch = Replica(1, 8, {2}, {});
  const Measures m = Replicas({Replica(0, 7, {1}, {3, 4}), no_sketch,
                               MakeReport(2, 0), Replica(3, 7, {1}, {3, 4})});
  EXPECT_EQ(m.replica_ranks, 3u);
  EXPECT_TRUE(m.ranks[1].replica_differs);
  EXPECT_FALSE(m.ranks[1].replica_distance);
  EXPECT_FALSE(m.ranks[2].replica_differs);
  EXPECT_EQ(*m.ranks[0].replica_distance, 0);
}

TEST(ParametersTest, AllZeroParametersHaveNoRelativeDistance) {
  const Measures m =
      Replicas({Replica(0, 7, {1}, {0, 0}), Replica(1, 7, {1}, {0, 0})});
  EXPECT_FALSE(m.replica_spread);
  EXPECT_FALSE(m.ranks[0].replica_distance);
}

frames::Report Moved(uint32_t rank, double distance,
                     const std::vector<float>& sketch) {
  frames::Report report = MakeReport(rank, 0);
  report.local_distance = distance;
  report.local_sketch = Floats(sketch);
  return report;
}

TEST(ParametersTest, ConsensusDistanceByHand) {
  const Measures m = Replicas({Moved(0, 1, {1, 0}), Moved(1, 1, {0, 1}),
                               Moved(2, 2, {2, 2}), MakeReport(3, 0)});
  EXPECT_DOUBLE_EQ(*m.local_distance_mean, 4.0 / 3);
  EXPECT_EQ(*m.ranks[2].local_distance, 2);
  EXPECT_FALSE(m.ranks[3].local_distance);
  // Mean (1, 1): squares 1, 1, 2.
  EXPECT_DOUBLE_EQ(*m.consensus_distance, std::sqrt(4.0 / 3));
  EXPECT_DOUBLE_EQ(m.consensus_error, std::sqrt(4.0 / 3) / 2);  // k = 2
}

TEST(ParametersTest, OneRankHasNoConsensusDistance) {
  const Measures m = Replicas({Moved(0, 1, {1, 0}), MakeReport(1, 0)});
  EXPECT_EQ(*m.local_distance_mean, 1);
  EXPECT_FALSE(m.consensus_distance);
}

}  // namespace
}  // namespace muster::consistency
