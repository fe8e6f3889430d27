#include "daemon/detect/rank_outlier.h"

#include <cmath>
#include <limits>
#include <random>

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"

namespace muster::detect {
namespace {

// Healthy ranks: loss 3 ± 0.1, norm about 1, cosine 0.5 ± 0.02.
class HealthyRun {
 public:
  explicit HealthyRun(uint32_t ranks, uint64_t seed = 1)
      : engine_(seed), ranks_(ranks) {}

  MeasuredFrame Next() {
    MeasuredFrame frame(ranks_);
    frame.SetStep(step_++);
    for (auto& rank : frame.measures.ranks) {
      rank.loss = 3 + 0.1 * normal_(engine_);
      rank.gradient_norm = std::exp(0.1 * normal_(engine_));
      rank.gradient_cosine = 0.5 + 0.02 * normal_(engine_);
      rank.step_duration_seconds = std::exp(0.02 * normal_(engine_));
    }
    return frame;
  }
  void Rewind(uint64_t step) { step_ = step; }

 private:
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  uint32_t ranks_;
  uint64_t step_ = 0;
};

void Warm(RankOutlier& detector, HealthyRun& run, int frames = 120) {
  for (int i = 0; i < frames; ++i) {
    ASSERT_TRUE(Judge(detector, run.Next()).empty());
  }
}

TEST(RankOutlierTest, NamesTheRankWithEvidence) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(8);
  Warm(detector, run);
  std::vector<Finding> findings;
  while (findings.empty()) {
    MeasuredFrame frame = run.Next();
    ASSERT_LT(frame.frame.step, 140u);
    *frame.measures.ranks[3].loss += 0.6;
    findings = Judge(detector, frame);
  }
  ASSERT_EQ(findings.size(), 1u);
  const Finding& finding = findings[0];
  EXPECT_EQ(finding.kind, Kind::kRankOutlier);
  EXPECT_EQ(finding.phase, Phase::kRaise);
  EXPECT_EQ(finding.subject, "loss");
  EXPECT_EQ(finding.ranks, Ranks{3});
  // Its deviation is 6 of the spread; its onset was step 120.
  EXPECT_NEAR(finding.value, 6, 1.5);
  EXPECT_NEAR(finding.expected, 0.25, 1e-12);
  EXPECT_GE(finding.first_step, 115u);
  EXPECT_LE(finding.first_step, 120u);
  EXPECT_NE(finding.evidence.find(
                "Rank 3's loss has been above the median of the other 7 ranks"),
            std::string::npos)
      << finding.evidence;
  EXPECT_NE(finding.evidence.find("healthy ranks take turns"),
            std::string::npos);
}

TEST(RankOutlierTest, FindsEachMetricOnEachSide) {
  for (Metric metric : kMetrics) {
    for (double sign : {1.0, -1.0}) {
      RankOutlier detector{RankOutlierOptions{}};
      HealthyRun run(8, 5);
      Warm(detector, run);
      std::vector<Finding> findings;
      while (findings.empty()) {
        MeasuredFrame frame = run.Next();
        ASSERT_LT(frame.frame.step, 150u);
        auto& rank = frame.measures.ranks[6];
        switch (metric) {
          case Metric::kLoss:
            *rank.loss += sign * 0.5;
            break;
          case Metric::kGradientNorm:
            *rank.gradient_norm *= std::exp(sign * 0.5);
            break;
          case Metric::kDirection:
            *rank.gradient_cosine += sign * 0.1;
            break;
          case Metric::kStepTime:
            *rank.step_duration_seconds *= std::exp(sign * 0.3);
            break;
        }
        findings = Judge(detector, frame);
      }
      EXPECT_EQ(findings[0].subject, MetricSubject(metric));
      EXPECT_EQ(findings[0].ranks, Ranks{6});
      EXPECT_NE(findings[0].evidence.find(sign > 0 ? "above" : "below"),
                std::string::npos);
      EXPECT_GT(findings[0].value, 3);
    }
  }
}

// Ranks that wait for each other have steps of the same length, whoever is
// slow.
TEST(RankOutlierTest, StepTimeIsTheRanksOwnWhereItIsKnown) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(8, 5);
  const auto next = [&] {
    MeasuredFrame frame = run.Next();
    for (auto& rank : frame.measures.ranks) {
      rank.compute_seconds = *rank.step_duration_seconds / 2;
      rank.step_duration_seconds = 1.5;
    }
    return frame;
  };
  for (int i = 0; i < 120; ++i) ASSERT_TRUE(Judge(detector, next()).empty());
  std::vector<Finding> findings;
  while (findings.empty()) {
    MeasuredFrame frame = next();
    ASSERT_LT(frame.frame.step, 150u);
    *frame.measures.ranks[6].compute_seconds *= 2;
    findings = Judge(detector, frame);
  }
  EXPECT_EQ(findings[0].subject, "step_time");
  EXPECT_EQ(findings[0].ranks, Ranks{6});
  EXPECT_NE(findings[0].evidence.find("against 0.5"), std::string::npos)
      << findings[0].evidence;
}

TEST(RankOutlierTest, RepeatsWhileItLastsThenClearsAndReadmits) {
  RankOutlierOptions options;
  options.resolve_after_frames = 50;
  RankOutlier detector(options);
  HealthyRun run(8);
  Warm(detector, run);
  std::vector<Finding> raises;
  for (int i = 0; i < 100; ++i) {
    MeasuredFrame frame = run.Next();
    *frame.measures.ranks[3].loss += 0.6;
    for (Finding& finding : Judge(detector, frame)) {
      EXPECT_EQ(finding.phase, Phase::kRaise);
      EXPECT_EQ(finding.ranks, Ranks{3});
      raises.push_back(std::move(finding));
    }
  }
  ASSERT_GE(raises.size(), 5u);
  EXPECT_EQ(raises.back().first_step, raises.front().first_step);
  EXPECT_GT(raises.back().last_step, 200u);
  // Health returns: one clear 50 frames after the last evidence, no more.
  uint64_t cleared_at = 0;
  for (int i = 0; i < 200; ++i) {
    const MeasuredFrame frame = run.Next();
    for (const Finding& finding : Judge(detector, frame)) {
      EXPECT_EQ(finding.phase, Phase::kClear);
      EXPECT_EQ(finding.ranks, Ranks{3});
      EXPECT_EQ(cleared_at, 0u);
      cleared_at = frame.frame.step;
    }
  }
  EXPECT_EQ(cleared_at, raises.back().last_step + 50);
  // It is tested like the others again.
  std::vector<Finding> again;
  for (int i = 0; i < 30 && again.empty(); ++i) {
    MeasuredFrame frame = run.Next();
    *frame.measures.ranks[3].loss += 0.6;
    again = Judge(detector, frame);
  }
  ASSERT_EQ(again.size(), 1u);
  EXPECT_GT(again[0].first_step, cleared_at);
}

TEST(RankOutlierTest, SecondBadRankIsNamedToo) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(8);
  Warm(detector, run);
  std::vector<Ranks> named;
  for (int i = 0; i < 60; ++i) {
    MeasuredFrame frame = run.Next();
    *frame.measures.ranks[3].loss += 1.2;
    *frame.measures.ranks[5].loss += 0.6;
    for (const Finding& finding : Judge(detector, frame)) {
      named.push_back(finding.ranks);
    }
  }
  EXPECT_EQ(named.front(), Ranks{3});
  EXPECT_NE(std::find(named.begin(), named.end(), Ranks{5}), named.end());
  for (const Ranks& ranks : named) {
    EXPECT_TRUE(ranks == Ranks{3} || ranks == Ranks{5});
  }
}

TEST(RankOutlierTest, TwoRanksDisagreeAndNeitherIsBlamed) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(2);
  Warm(detector, run, 60);
  std::vector<Finding> findings;
  for (int i = 0; i < 200 && findings.empty(); ++i) {
    MeasuredFrame frame = run.Next();
    *frame.measures.ranks[1].loss += 0.6;
    findings = Judge(detector, frame);
  }
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].ranks, (Ranks{0, 1}));
  EXPECT_NE(findings[0].evidence.find("cannot be attributed"),
            std::string::npos);
  // Evidence is renewed under the same name.
  findings.clear();
  for (int i = 0; i < 200 && findings.empty(); ++i) {
    MeasuredFrame frame = run.Next();
    *frame.measures.ranks[1].loss += 0.6;
    findings = Judge(detector, frame);
  }
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kRaise);
  EXPECT_EQ(findings[0].ranks, (Ranks{0, 1}));
}

TEST(RankOutlierTest, ShiftWithinTheFloorIsHealthy) {
  RankOutlierOptions options;
  options.loss_floor = 0.3;
  RankOutlier detector(options);
  HealthyRun run(8);
  for (int i = 0; i < 3000; ++i) {
    MeasuredFrame frame = run.Next();
    *frame.measures.ranks[3].loss += 0.25;
    ASSERT_TRUE(Judge(detector, frame).empty());
  }
}

TEST(RankOutlierTest, ShiftWithinTheMarginIsHealthyAndBeyondIsNot) {
  for (double shift : {0.1, 0.5}) {
    RankOutlierOptions options;
    options.margin = 0.25;
    RankOutlier detector(options);
    HealthyRun run(8);
    uint64_t raises = 0;
    for (int i = 0; i < 3000; ++i) {
      MeasuredFrame frame = run.Next();
      *frame.measures.ranks[3].loss += shift * 0.1;
      raises += CountRaises(Judge(detector, frame));
    }
    EXPECT_EQ(raises > 0, shift > 0.25) << shift;
  }
}

TEST(RankOutlierTest, UnequalBatchesAreHealthy) {
  // Rank 7's batch is a sixteenth: its loss is four times as noisy, its norm
  // larger and its cosine lower, as the noise model says.
  for (bool stated : {true, false}) {
    RankOutlier detector{RankOutlierOptions{}};
    std::mt19937_64 engine(3);
    std::normal_distribution<double> normal;
    uint64_t raises = 0;
    for (int i = 0; i < 3000; ++i) {
      MeasuredFrame frame(8);
      frame.SetStep(i);
      frame.measures.gradient_square = 1;
      frame.measures.covariance_trace = 64;
      for (auto& rank : frame.measures.ranks) {
        const double weight = rank.rank == 7 ? 4 : 64;
        const double square = 1 + 64 / weight;
        if (stated) rank.weight = weight;
        rank.loss = 3 + normal(engine) / std::sqrt(weight);
        rank.gradient_norm =
            std::sqrt(square) * std::exp(0.05 * normal(engine));
        rank.gradient_cosine =
            (1 + normal(engine) / std::sqrt(weight)) / std::sqrt(square);
      }
      raises += CountRaises(Judge(detector, frame));
    }
    EXPECT_EQ(raises > 0, !stated);
  }
}

TEST(RankOutlierTest, GrossValueIsNamedAtOnce) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(8);
  Warm(detector, run, 101);
  MeasuredFrame frame = run.Next();
  frame.measures.ranks[2].gradient_norm = 100;
  frame.measures.ranks[4].loss = 3.0 / 50;
  const auto findings = Judge(detector, frame);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].subject, "loss");
  EXPECT_EQ(findings[0].ranks, Ranks{4});
  EXPECT_NE(findings[0].evidence.find("times smaller than the median"),
            std::string::npos);
  EXPECT_EQ(findings[1].subject, "gradient_norm");
  EXPECT_EQ(findings[1].ranks, Ranks{2});
  EXPECT_NE(findings[1].evidence.find("times larger than the median"),
            std::string::npos);
  EXPECT_EQ(findings[1].expected, 12);
  EXPECT_GT(findings[1].value, 12);
}

TEST(RankOutlierTest, GrossValuesWaitForHistory) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(8);
  Warm(detector, run, 99);
  MeasuredFrame frame = run.Next();
  frame.measures.ranks[2].gradient_norm = 100;
  EXPECT_TRUE(Judge(detector, frame).empty());
}

TEST(RankOutlierTest, GrossSplitOfHalfTheRanksBlamesNobodyAlone) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(4);
  Warm(detector, run, 101);
  MeasuredFrame frame = run.Next();
  *frame.measures.ranks[0].gradient_norm *= 1000;
  *frame.measures.ranks[1].gradient_norm *= 1000;
  const auto findings = Judge(detector, frame);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].ranks, (Ranks{0, 1, 2, 3}));
  EXPECT_NE(findings[0].evidence.find("cannot be attributed"),
            std::string::npos);
}

TEST(RankOutlierTest, DegenerateFramesAreSilent) {
  RankOutlierOptions options;
  options.target_frames = 10;
  RankOutlier detector(options);
  for (int i = 0; i < 2000; ++i) {
    MeasuredFrame frame(4);
    frame.SetStep(i);
    for (auto& rank : frame.measures.ranks) {
      switch (i % 4) {
        case 0:  // nothing reported
          break;
        case 1:  // all equal
          rank.loss = 1;
          rank.gradient_norm = 0;
          rank.gradient_cosine = 1;
          break;
        case 2:  // not finite
          rank.loss = std::numeric_limits<double>::quiet_NaN();
          rank.gradient_norm = std::numeric_limits<double>::infinity();
          break;
        case 3:  // one rank only
          if (rank.rank == 2) rank.loss = 1e9;
          break;
      }
    }
    ASSERT_TRUE(Judge(detector, frame).empty()) << i;
  }
}

TEST(RankOutlierTest, AbsentRanksLeaveTheStreamsAsTheyAre) {
  // Rank 3 is bad, and reports every other step only.
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(8);
  Warm(detector, run);
  std::vector<Finding> findings;
  while (findings.empty()) {
    MeasuredFrame frame = run.Next();
    ASSERT_LT(frame.frame.step, 160u);
    *frame.measures.ranks[3].loss += 0.6;
    if (frame.frame.step % 2 == 0) {
      frame.measures.ranks.erase(frame.measures.ranks.begin() + 3);
    }
    findings = Judge(detector, frame);
  }
  EXPECT_EQ(findings[0].ranks, Ranks{3});
}

TEST(RankOutlierTest, RepeatedStepsAreNoFreshEvidence) {
  // Seven bad frames are too few. A job that crashes and repeats them ten times
  // over shows them again and again.
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(8);
  Warm(detector, run);
  std::vector<MeasuredFrame> bad;
  for (int i = 0; i < 7; ++i) {
    bad.push_back(run.Next());
    *bad.back().measures.ranks[3].loss += 0.6;
  }
  for (uint32_t attempt = 1; attempt <= 10; ++attempt) {
    for (MeasuredFrame& frame : bad) {
      frame.frame.attempt = attempt;
      EXPECT_TRUE(Judge(detector, frame).empty());
    }
  }
  // The same frames as fresh steps are evidence.
  uint64_t raises = 0;
  for (int i = 0; i < 7; ++i) {
    bad[i].frame.attempt = 10;
    bad[i].SetStep(200 + i);
    raises += CountRaises(Judge(detector, bad[i]));
  }
  EXPECT_EQ(raises, 1u);
}

TEST(RankOutlierTest, RestartThatGoesOnKeepsTheNamedRank) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(8);
  Warm(detector, run);
  uint64_t raises = 0;
  for (int i = 0; i < 30; ++i) {
    MeasuredFrame frame = run.Next();
    *frame.measures.ranks[3].loss += 0.6;
    raises += CountRaises(Judge(detector, frame));
  }
  ASSERT_GT(raises, 0u);
  frames::AttemptBegan began;
  began.attempt = 2;
  began.world_size = 8;
  EXPECT_TRUE(Take(detector, began).empty());
  for (int i = 0; i < 30; ++i) {
    MeasuredFrame frame = run.Next();
    frame.frame.attempt = 2;
    for (const Finding& finding : Judge(detector, frame)) {
      EXPECT_EQ(finding.ranks, Ranks{3});
      EXPECT_EQ(finding.phase, Phase::kRaise);
    }
  }
}

TEST(RankOutlierTest, NewWorldSizeClearsAndWarmsUpAgain) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(8);
  Warm(detector, run);
  for (int i = 0; i < 30; ++i) {
    MeasuredFrame frame = run.Next();
    *frame.measures.ranks[7].loss += 0.6;
    Judge(detector, frame);
  }
  frames::AttemptBegan began;
  began.world_size = 6;
  began.world_size_changed = true;
  const auto findings = Take(detector, began);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kReplaced);
  EXPECT_EQ(findings[0].ranks, Ranks{7});
  HealthyRun smaller(6);
  Warm(detector, smaller, 300);
}

TEST(RankOutlierTest, SameStreamSameBytes) {
  std::string first;
  for (int repetition = 0; repetition < 2; ++repetition) {
    RankOutlier detector{RankOutlierOptions{}};
    HealthyRun run(8);
    std::string text;
    for (int i = 0; i < 600; ++i) {
      MeasuredFrame frame = run.Next();
      if (i > 150) *frame.measures.ranks[3].loss += 0.3;
      for (const Finding& finding : Judge(detector, frame)) {
        text += finding.evidence + '\n';
      }
    }
    EXPECT_FALSE(text.empty());
    if (repetition == 0) first = text;
    EXPECT_EQ(text, first);
  }
}

TEST(RankOutlierTest, ThousandsOfRanks) {
  RankOutlier detector{RankOutlierOptions{}};
  HealthyRun run(4096);
  Warm(detector, run, 20);
  std::vector<Finding> findings;
  for (int i = 0; i < 10 && findings.empty(); ++i) {
    MeasuredFrame frame = run.Next();
    *frame.measures.ranks[3000].loss += 2;
    findings = Judge(detector, frame);
  }
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].ranks, Ranks{3000});
}

}  // namespace
}  // namespace muster::detect
