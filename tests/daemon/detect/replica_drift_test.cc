#include "daemon/detect/replica_drift.h"

#include <memory>
#include <optional>

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

// Four ranks with fingerprints, all equal.
MeasuredFrame Equal(uint64_t step, const frames::FactSet& facts = {}) {
  MeasuredFrame frame(4);
  frame.SetStep(step);
  frame.measures.replica_values = 1;
  frame.measures.replica_ranks = 4;
  frame.measures.replica_majority = true;
  for (uint32_t rank = 0; rank < 4; ++rank) {
    frame.measures.ranks[rank].replica_distance = 0;
    frames::Report report = testing::MakeReport(rank, step);
    report.replica_fingerprint = 7;
    report.facts = std::make_shared<const frames::FactSet>(facts);
    frame.frame.reports.push_back(std::move(report));
  }
  return frame;
}

MeasuredFrame Drifted(uint64_t step, std::optional<double> distance,
                      const frames::FactSet& facts = {}) {
  MeasuredFrame frame = Equal(step, facts);
  frame.measures.replica_values = 2;
  frame.measures.ranks[2].replica_differs = true;
  frame.measures.ranks[2].replica_distance = distance;
  frame.measures.replica_groups = {1, 2};
  return frame;
}

const frames::FactSet kNames = {{"replica_groups", {"stem,body", false}},
                                {"replica_groups.1", {"head", false}}};

TEST(ReplicaDriftTest, EqualReplicasAreHealthy) {
  ReplicaDrift detector;
  EXPECT_TRUE(Judge(detector, Equal(0)).empty());
  EXPECT_TRUE(Judge(detector, MeasuredFrame(4)).empty());
}

TEST(ReplicaDriftTest, NamesRankGroupsAndDistance) {
  ReplicaDrift detector;
  const auto findings = Judge(detector, Drifted(8, 0.0125, kNames));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, Kind::kReplicaDrift);
  EXPECT_EQ(findings[0].subject, "parameters");
  EXPECT_EQ(findings[0].ranks, (Ranks{2}));
  EXPECT_EQ(findings[0].first_step, 8u);
  EXPECT_EQ(findings[0].value, 0.0125);
  EXPECT_EQ(findings[0].expected, 0);
  EXPECT_EQ(findings[0].evidence,
            "Rank 2's parameters differ in body, head from those that the "
            "other ranks share, by 0.0125 of their norm.");
}

TEST(ReplicaDriftTest, SaysWhenTheDistanceIsBelowWhatSketchesResolve) {
  ReplicaDrift detector;
  const auto findings = Judge(detector, Drifted(8, 1e-9));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].evidence,
            "Rank 2's parameters differ in group 1, group 2 from those that "
            "the other ranks share, by less than 1e-06 of their norm.");
}

TEST(ReplicaDriftTest, WithoutAMajorityAttributesNothing) {
  ReplicaDrift detector;
  MeasuredFrame frame = Drifted(8, 0.5, kNames);
  frame.measures.replica_majority = false;
  for (auto& rank : frame.measures.ranks) rank.replica_differs = true;
  const auto findings = Judge(detector, frame);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].ranks, (Ranks{0, 1, 2, 3}));
  EXPECT_NE(findings[0].evidence.find("cannot be told who is right"),
            std::string::npos);
}

TEST(ReplicaDriftTest, ToleratesWhatIsStated) {
  frames::FactSet facts = {{"replica_tolerance", {"0.01", false}}};
  ReplicaDrift detector;
  EXPECT_TRUE(Judge(detector, Drifted(0, 0.01, facts)).empty());
  // Nothing is known of how far.
  EXPECT_EQ(Judge(detector, Drifted(1, std::nullopt, facts)).size(), 1u);
  const auto findings = Judge(detector, Drifted(2, 0.011, facts));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].expected, 0.01);
}

TEST(ReplicaDriftTest, NonsenseIsNoTolerance) {
  for (const char* value : {"nan", "-1", "inf", "much", ""}) {
    ReplicaDrift detector;
    const frames::FactSet facts = {{"replica_tolerance", {value, false}}};
    EXPECT_EQ(Judge(detector, Drifted(0, 1e-5, facts)).size(), 1u) << value;
  }
}

TEST(ReplicaDriftTest, ClearsWhenTheRankIsBack) {
  ReplicaDrift detector;
  Judge(detector, Drifted(0, 0.1));
  // No fingerprints at this step, then none of rank 2.
  EXPECT_TRUE(Judge(detector, MeasuredFrame(4)).empty());
  MeasuredFrame absent = Equal(2);
  absent.measures.ranks.erase(absent.measures.ranks.begin() + 2);
  EXPECT_TRUE(Judge(detector, absent).empty());
  const auto findings = Judge(detector, Equal(4));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
  EXPECT_EQ(findings[0].ranks, (Ranks{2}));
  EXPECT_TRUE(Judge(detector, Equal(6)).empty());
}

TEST(ReplicaDriftTest, NewAttemptClears) {
  ReplicaDrift detector;
  Judge(detector, Drifted(0, 0.1));
  EXPECT_EQ(Take(detector, frames::AttemptBegan{}).size(), 1u);
}

}  // namespace
}  // namespace muster::detect
