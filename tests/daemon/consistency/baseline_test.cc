// The numbers of a frame, against hand-worked cases, NumPy's results from the
// definitions, and expectations of simulated gradients.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "daemon/consistency/measure.h"
#include "tests/daemon/consistency/numpy_reference.h"
#include "tests/testing/frame_builder.h"

namespace muster::consistency {
namespace {

using frames::Frame;
using frames::Report;
using testing::EncodeHalves;
using testing::MakeFrame;
using testing::MakeReport;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A report whose gradient is of whole numbers up to 2048: its sketch is exact.
Report Exact(uint32_t rank, uint64_t step, const std::vector<double>& gradient,
             std::optional<double> loss = std::nullopt) {
  Report report = MakeReport(rank, step, loss, gradient);
  report.sketch = EncodeHalves(gradient);
  return report;
}

Report Weighted(Report report, double weight) {
  report.weight = weight;
  return report;
}

TEST(BaselineTest, LossMeanIsWeightedAndSpreadIsNot) {
  Baseline baseline;
  const Measures measures = baseline.Measure(
      MakeFrame(7, {Weighted(MakeReport(0, 7, 1.0), 3), MakeReport(1, 7, 2.0),
                    Weighted(MakeReport(2, 7, 6.0), 4)}));
  EXPECT_EQ(measures.step, 7u);
  EXPECT_EQ(measures.attempt, 1u);
  EXPECT_DOUBLE_EQ(*measures.loss_mean, (3.0 * 1 + 2 + 4 * 6) / 8);
  EXPECT_EQ(measures.loss->count, 3u);
  EXPECT_DOUBLE_EQ(measures.loss->mean, 3);
  EXPECT_DOUBLE_EQ(measures.loss->stddev, std::sqrt(14.0 / 3));
  EXPECT_DOUBLE_EQ(measures.loss->range(), 5);
  EXPECT_DOUBLE_EQ(*measures.loss->cv(), std::sqrt(14.0 / 3) / 3);
  EXPECT_EQ(measures.ranks[2].weight, 4);
  EXPECT_FALSE(measures.ranks[1].weight.has_value());
}

TEST(BaselineTest, ComputeTimesAreKeptWhereAllRanksTellThem) {
  Baseline baseline;
  std::vector<Report> reports;
  for (const uint32_t rank : {0, 1, 2}) {
    reports.push_back(MakeReport(rank, 7));
    reports.back().step_duration_seconds = 1;
    reports.back().compute_seconds = 0.25 * (rank + 1);
  }
  EXPECT_EQ(baseline.Measure(MakeFrame(7, reports)).ranks[2].compute_seconds,
            0.75);
  // One that has just started tells neither.
  reports[0].step_duration_seconds.reset();
  reports[0].compute_seconds.reset();
  const Measures measures = baseline.Measure(MakeFrame(7, reports));
  EXPECT_FALSE(measures.ranks[0].compute_seconds);
  EXPECT_EQ(measures.ranks[2].compute_seconds, 0.75);
  // One whose duration has the waiting in it must not stand out by that.
  reports[0].step_duration_seconds = 1;
  for (const RankMeasures& rank :
       baseline.Measure(MakeFrame(7, reports)).ranks) {
    EXPECT_FALSE(rank.compute_seconds);
    EXPECT_EQ(rank.step_duration_seconds, 1);
  }
}

TEST(BaselineTest, NonFiniteLossesAreKeptOutOfMeans) {
  Baseline baseline;
  Report broken = MakeReport(1, 7, kNaN);
  broken.nonfinite_count = 12;
  const Measures measures = baseline.Measure(
      MakeFrame(7,
                {MakeReport(0, 7, 1.0), broken, MakeReport(2, 7, -kInfinity),
                 MakeReport(3, 7, 3.0), MakeReport(5, 7)},
                8));
  EXPECT_EQ(measures.ranks_expected, 8u);
  EXPECT_EQ(measures.ranks_reporting, 5u);
  EXPECT_DOUBLE_EQ(*measures.loss_mean, 2);
  EXPECT_EQ(measures.loss->count, 2u);
  EXPECT_FALSE(measures.ranks[1].loss.has_value());
  EXPECT_TRUE(measures.ranks[1].loss_nonfinite);
  EXPECT_EQ(measures.ranks[1].nonfinite_count, 12u);
  EXPECT_TRUE(measures.ranks[2].loss_nonfinite);
  EXPECT_FALSE(measures.ranks[3].loss_nonfinite);
  EXPECT_FALSE(measures.ranks[4].loss_nonfinite);
  EXPECT_EQ(measures.ranks[4].rank, 5u);
}

TEST(BaselineTest, NothingToMeasureMeansAbsent) {
  Baseline baseline;
  const Measures measures =
      baseline.Measure(MakeFrame(7, {MakeReport(0, 7), MakeReport(1, 7)}));
  EXPECT_FALSE(measures.loss_mean.has_value());
  EXPECT_FALSE(measures.loss.has_value());
  EXPECT_FALSE(measures.gradient_norm.has_value());
  EXPECT_EQ(measures.directions, 0u);
  EXPECT_FALSE(measures.cosine_mean.has_value());
  EXPECT_FALSE(measures.cosine_min.has_value());
  EXPECT_FALSE(measures.gradient_square.has_value());
  EXPECT_FALSE(measures.noise_scale.has_value());
  EXPECT_FALSE(measures.step_cosine.has_value());
  EXPECT_EQ(measures.replica_values, 0u);
}

TEST(BaselineTest, SumsBeyondTheRangeOfDoubleAreAbsentAndDoNoLastingHarm) {
  Baseline baseline;
  Report huge = Exact(1, 1, {3, 4}, 1e308);
  huge.gradient_norm = 1e308;
  const Measures measures = baseline.Measure(
      MakeFrame(1, {Exact(0, 1, {3, 4}, 1e308), huge, Exact(2, 1, {3, 4})}));
  EXPECT_FALSE(measures.loss_mean.has_value());
  EXPECT_FALSE(measures.loss.has_value());
  EXPECT_FALSE(measures.gradient_norm.has_value());
  EXPECT_FALSE(measures.gradient_square.has_value());
  EXPECT_DOUBLE_EQ(*measures.cosine_mean, 1);
  EXPECT_DOUBLE_EQ(
      *baseline
           .Measure(MakeFrame(2, {Exact(0, 2, {3, 4}), Exact(1, 2, {3, 4})}))
           .gradient_square,
      25);
}

// Unit vectors (1,0), (0,1), (0.6,0.8): pairs 0, 0.6, 0.8.
TEST(BaselineTest, CosinesOfThreeKnownDirections) {
  Baseline baseline;
  const Measures measures = baseline.Measure(MakeFrame(
      1, {Exact(0, 1, {9, 0}), Exact(2, 1, {0, 2}), Exact(3, 1, {3, 4})}));
  EXPECT_EQ(measures.directions, 3u);
  EXPECT_NEAR(*measures.cosine_mean, 1.4 / 3, 1e-15);
  EXPECT_NEAR(*measures.ranks[0].gradient_cosine, 0.6 / std::hypot(0.6, 1.8),
              1e-15);
  EXPECT_NEAR(*measures.ranks[1].gradient_cosine, 0.8 / std::hypot(1.6, 0.8),
              1e-15);
  EXPECT_NEAR(*measures.ranks[2].gradient_cosine, 1.4 / std::sqrt(2), 1e-15);
  EXPECT_EQ(measures.cosine_min, measures.ranks[0].gradient_cosine);
  EXPECT_DOUBLE_EQ(measures.gradient_norm->mean, 16.0 / 3);
  EXPECT_DOUBLE_EQ(measures.gradient_norm->range(), 7);
}

TEST(BaselineTest, RankAgainstOthersThatCancelOutHasNoCosine) {
  Baseline baseline;
  const Measures measures = baseline.Measure(MakeFrame(
      1, {Exact(0, 1, {1, 0}), Exact(1, 1, {3, 4}), Exact(2, 1, {-3, -4})}));
  EXPECT_FALSE(measures.ranks[0].gradient_cosine.has_value());
  EXPECT_TRUE(measures.ranks[1].gradient_cosine.has_value());
  EXPECT_NEAR(*measures.cosine_mean, -1.0 / 3, 1e-15);
}

TEST(BaselineTest, OneDirectionHasNoneToAgreeWith) {
  Baseline baseline;
  const Measures measures =
      baseline.Measure(MakeFrame(1, {Exact(0, 1, {3, 4}), MakeReport(1, 1)}));
  EXPECT_EQ(measures.directions, 1u);
  EXPECT_FALSE(measures.cosine_mean.has_value());
  EXPECT_FALSE(measures.ranks[0].gradient_cosine.has_value());
  EXPECT_EQ(measures.ranks[0].gradient_norm, 5);
}

TEST(BaselineTest, OtherCoverageThanMostIsInNoStatisticOfGradients) {
  Baseline baseline;
  Report other = Exact(1, 1, {300, 400});
  other.elements_observed = 1;
  const Measures measures = baseline.Measure(
      MakeFrame(1, {Exact(0, 1, {3, 4}), other, Exact(2, 1, {4, 3})}));
  EXPECT_EQ(measures.directions, 2u);
  EXPECT_DOUBLE_EQ(*measures.cosine_mean, 0.96);
  EXPECT_EQ(measures.gradient_norm->count, 2u);
  EXPECT_DOUBLE_EQ(measures.gradient_norm->mean, 5);
  EXPECT_FALSE(measures.ranks[1].gradient_norm.has_value());
  EXPECT_FALSE(measures.ranks[1].gradient_cosine.has_value());
}

TEST(BaselineTest, SecondBackwardPassIsInNoStatisticOfDirections) {
  Baseline baseline;
  Report twice = Exact(1, 1, {-300, -400});
  twice.multiple_backward = true;
  const Measures measures = baseline.Measure(
      MakeFrame(1, {Exact(0, 1, {3, 4}), twice, Exact(2, 1, {4, 3})}));
  EXPECT_DOUBLE_EQ(*measures.cosine_mean, 0.96);
  EXPECT_DOUBLE_EQ(*measures.gradient_square, 24);  // (3,4)·(4,3)
  EXPECT_EQ(measures.gradient_norm->count, 3u);
}

TEST(BaselineTest, ZeroGradientHasANormAndNoDirection) {
  Baseline baseline;
  Report zero = MakeReport(1, 1);
  zero.gradient_norm = 0;
  zero.elements_observed = 2;
  const Measures measures =
      baseline.Measure(MakeFrame(1, {Exact(0, 1, {3, 4}), zero}));
  EXPECT_EQ(measures.directions, 1u);
  EXPECT_EQ(measures.gradient_norm->count, 2u);
  EXPECT_DOUBLE_EQ(measures.gradient_norm->mean, 2.5);
}

TEST(BaselineTest, DistinctReplicasAreCounted) {
  Baseline baseline;
  std::vector<Report> reports;
  for (uint64_t fingerprint : {5, 5, 9, 5}) {
    reports.push_back(MakeReport(static_cast<uint32_t>(reports.size()), 1));
    reports.back().replica_fingerprint = fingerprint;
  }
  reports.push_back(MakeReport(4, 1));
  EXPECT_EQ(baseline.Measure(MakeFrame(1, reports)).replica_values, 2u);
}

// r = 0.95·(1,0) + (0,1) up to a factor, before the third frame.
TEST(BaselineTest, DivergenceAndStepCosineLookBack) {
  Baseline baseline;
  const Measures first = baseline.Measure(MakeFrame(1, {Exact(0, 1, {1, 0})}));
  EXPECT_FALSE(first.step_cosine.has_value());
  EXPECT_FALSE(first.ranks[0].divergence.has_value());
  const Measures second = baseline.Measure(MakeFrame(2, {Exact(0, 2, {0, 1})}));
  EXPECT_NEAR(*second.step_cosine, 0, 1e-15);
  EXPECT_NEAR(*second.ranks[0].divergence, 1, 1e-15);
  const Measures third = baseline.Measure(MakeFrame(3, {Exact(0, 3, {3, 4})}));
  EXPECT_NEAR(*third.step_cosine, 0.8, 1e-15);
  EXPECT_NEAR(*third.ranks[0].divergence,
              1 - (0.6 * 0.95 + 0.8) / std::hypot(0.95, 1), 1e-15);
}

TEST(BaselineTest, StepCosineNeedsTheFrameBefore) {
  Baseline baseline;
  baseline.Measure(MakeFrame(1, {Exact(0, 1, {1, 0})}));
  baseline.Measure(MakeFrame(2, {MakeReport(0, 2)}));
  const Measures measures =
      baseline.Measure(MakeFrame(3, {Exact(0, 3, {1, 0})}));
  EXPECT_FALSE(measures.step_cosine.has_value());
  EXPECT_NEAR(*measures.ranks[0].divergence, 0, 1e-15);
}

TEST(BaselineTest, BaselinesGoOnInAnotherAttemptUntilReset) {
  Baseline baseline;
  for (uint64_t step = 1; step <= 10; ++step) {
    baseline.Measure(
        MakeFrame(step, {Exact(0, step, {3, 4}), Exact(1, step, {4, 3})}));
  }
  const Frame frame =
      MakeFrame(5, {Exact(0, 5, {0, 1}), Exact(1, 5, {0, 1})}, 2, 2);
  const Measures next = baseline.Measure(frame);
  EXPECT_FALSE(next.step_cosine.has_value());
  EXPECT_NEAR(*next.ranks[0].divergence, 1 - std::sqrt(0.5), 1e-15);
  EXPECT_TRUE(next.noise_scale.has_value());
  baseline.Reset();
  const Measures again = baseline.Measure(frame);
  EXPECT_FALSE(again.ranks[0].divergence.has_value());
  EXPECT_FALSE(again.noise_scale.has_value());
  EXPECT_DOUBLE_EQ(*again.gradient_square, 1);
}

TEST(BaselineTest, FramesOfAnotherWidthStartOver) {
  Baseline baseline;
  baseline.Measure(MakeFrame(1, {Exact(0, 1, {1, 0})}));
  const Measures measures =
      baseline.Measure(MakeFrame(2, {Exact(0, 2, {1, 0, 0, 0})}));
  EXPECT_FALSE(measures.step_cosine.has_value());
  EXPECT_FALSE(measures.ranks[0].divergence.has_value());
}

TEST(BaselineTest, NoiseScaleIsInBatchesWhereAWeightIsMissing) {
  Baseline baseline;
  Measures measures;
  for (uint64_t step = 1; step <= 10; ++step) {
    measures = baseline.Measure(MakeFrame(
        step, {Weighted(Exact(0, step, {3, 4}), 16), Exact(1, step, {4, 3})}));
  }
  // |G|² = 24, mean of squares 25.
  EXPECT_TRUE(measures.noise_scale_in_batches);
  EXPECT_NEAR(*measures.noise_scale, 1.0 / 24, 1e-12);
  EXPECT_NEAR(*measures.cosine_expected, 0.96, 1e-12);
  for (uint64_t step = 11; step <= 20; ++step) {
    measures = baseline.Measure(
        MakeFrame(step, {Weighted(Exact(0, step, {3, 4}), 16),
                         Weighted(Exact(1, step, {4, 3}), 48)}));
  }
  // b = 2/(1/16 + 1/48) = 24.
  EXPECT_FALSE(measures.noise_scale_in_batches);
  EXPECT_NEAR(*measures.noise_scale, 1, 1e-12);
  EXPECT_NEAR(*measures.covariance_trace, 24, 1e-12);
  EXPECT_NEAR(*measures.cosine_expected, 0.96, 1e-12);
}

// The run of make_numpy_reference.py.
int64_t ReferenceNoise(uint64_t x) {
  return static_cast<int64_t>(((x * 2654435761 & 0xFFFFFFFF) >> 8) % 601) - 300;
}

Frame ReferenceRun(int frame) {
  std::vector<Report> reports;
  for (int rank = 0; rank < kReferenceRanks; ++rank) {
    if (frame == 5 && rank == 2) continue;
    std::vector<double> gradient;
    for (int j = 0; j < kReferenceWidth; ++j) {
      gradient.push_back(static_cast<double>(
          2 * ReferenceNoise(j) + ReferenceNoise(1000 * (frame + 1) + j) +
          ReferenceNoise(1000000 + 100000 * frame + 1000 * rank + j)));
    }
    reports.push_back(Weighted(
        Exact(rank, frame, gradient, 3 - 0.125 * frame + 0.25 * rank * rank),
        4.0 + 3 * rank + frame % 2));
  }
  return MakeFrame(frame, reports, kReferenceRanks);
}

void ExpectNear(std::optional<double> value, double expected,
                const char* what) {
  SCOPED_TRACE(what);
  ASSERT_EQ(value.has_value(), !std::isnan(expected));
  if (value) {
    EXPECT_NEAR(*value, expected, 1e-12 * std::max(1.0, std::fabs(expected)));
  }
}

TEST(BaselineTest, AgreesWithNumPy) {
  Baseline baseline;
  for (int f = 0; f < kReferenceFrames; ++f) {
    SCOPED_TRACE(f);
    const Measures measures = baseline.Measure(ReferenceRun(f));
    const ReferenceFrame& expected = kReference[f];
    ExpectNear(measures.loss_mean, expected.loss_mean, "loss mean");
    ExpectNear(measures.loss->stddev, expected.loss_stddev, "loss stddev");
    ExpectNear(measures.gradient_norm->mean, expected.norm_mean, "norm mean");
    ExpectNear(measures.gradient_norm->stddev, expected.norm_stddev,
               "norm stddev");
    ExpectNear(measures.cosine_mean, expected.cosine_mean, "cosine mean");
    ExpectNear(measures.cosine_min, expected.cosine_min, "cosine min");
    ExpectNear(measures.gradient_square, expected.gradient_square, "|G|²");
    ExpectNear(measures.covariance_trace, expected.covariance_trace, "tr Σ");
    ExpectNear(measures.noise_scale, expected.noise_scale, "noise scale");
    ExpectNear(measures.cosine_expected, expected.cosine_expected,
               "cosine expected");
    ExpectNear(measures.step_cosine, expected.step_cosine, "step cosine");
    for (const RankMeasures& rank : measures.ranks) {
      SCOPED_TRACE(rank.rank);
      ExpectNear(rank.gradient_cosine, expected.rank_cosine[rank.rank],
                 "rank cosine");
      ExpectNear(rank.divergence, expected.divergence[rank.rank], "divergence");
    }
  }
}

// g_i = G + noise of covariance Σ/w_i, |G|² = 4, tr Σ = 256, unequal weights:
// the averages over many runs must come out there, and the mean cosine near
// 1/(1 + B/b).
TEST(BaselineTest, NoiseScaleOfSimulatedGradientsIsUnbiased) {
  constexpr int kWidth = 256;
  const std::vector<double> weights = {16, 16, 32, 64};  // b = 24.38…
  const double b = 4 / (2.0 / 16 + 1.0 / 32 + 1.0 / 64);
  std::mt19937_64 random(11);
  std::normal_distribution<double> normal;
  double square_sum = 0, square_squares = 0, trace_sum = 0, trace_squares = 0;
  constexpr int kRuns = 400;
  for (int run = 0; run < kRuns; ++run) {
    Baseline baseline;
    std::vector<Report> reports;
    for (uint32_t rank = 0; rank < weights.size(); ++rank) {
      std::vector<double> gradient(kWidth);
      for (double& value : gradient) {
        value =
            2 / std::sqrt(kWidth) + normal(random) / std::sqrt(weights[rank]);
      }
      reports.push_back(
          Weighted(MakeReport(rank, 1, std::nullopt, gradient), weights[rank]));
    }
    const Measures measures = baseline.Measure(MakeFrame(1, reports));
    square_sum += *measures.gradient_square;
    square_squares += std::pow(*measures.gradient_square, 2);
    trace_sum += *measures.covariance_trace;
    trace_squares += std::pow(*measures.covariance_trace, 2);
  }
  const double square = square_sum / kRuns;
  const double square_error =
      std::sqrt((square_squares / kRuns - square * square) / kRuns);
  EXPECT_NEAR(square, 4, 4 * square_error);
  EXPECT_LT(square_error, 0.1);
  const double trace = trace_sum / kRuns;
  const double trace_error =
      std::sqrt((trace_squares / kRuns - trace * trace) / kRuns);
  EXPECT_NEAR(trace, kWidth, 4 * trace_error);
  EXPECT_LT(trace_error, 0.02 * kWidth);

  // With equal weights the mean cosine is close to 1/(1 + B/b).
  Baseline baseline;
  double cosine_sum = 0;
  Measures measures;
  for (uint64_t step = 0; step < 200; ++step) {
    std::vector<Report> reports;
    for (uint32_t rank = 0; rank < 8; ++rank) {
      std::vector<double> gradient(kWidth);
      for (double& value : gradient) {
        value = 2 / std::sqrt(kWidth) + normal(random) / std::sqrt(b);
      }
      reports.push_back(
          Weighted(MakeReport(rank, step, std::nullopt, gradient), b));
    }
    measures = baseline.Measure(MakeFrame(step, reports));
    cosine_sum += *measures.cosine_mean;
  }
  const double expected = 1 / (1 + kWidth / 4.0 / b);
  EXPECT_NEAR(cosine_sum / 200, expected, 0.01);
  EXPECT_NEAR(*measures.cosine_expected, expected, 0.03);
}

TEST(BaselineTest, SameFramesGiveTheSameBytes) {
  Baseline one;
  Baseline two;
  for (int f = 0; f < kReferenceFrames; ++f) {
    const Measures a = one.Measure(ReferenceRun(f));
    const Measures b = two.Measure(ReferenceRun(f));
    EXPECT_EQ(a.cosine_mean, b.cosine_mean);
    EXPECT_EQ(a.noise_scale, b.noise_scale);
    EXPECT_EQ(a.ranks[1].divergence, b.ranks[1].divergence);
  }
}

TEST(BaselineTest, TellsWhichRanksCannotBeToldApart) {
  const std::vector<double> gradient = {3, 0, 4, 0};
  const std::vector<double> other = {0, 3, 0, 4};
  Baseline baseline;
  const Measures measures = baseline.Measure(
      MakeFrame(0,
                {MakeReport(0, 0, 2.0, other), MakeReport(2, 0, 2.0, gradient),
                 MakeReport(5, 0, 2.0, gradient)},
                8));
  EXPECT_EQ(measures.lookalikes, (std::vector<RankPair>{{2, 5}}));
}

}  // namespace
}  // namespace muster::consistency
