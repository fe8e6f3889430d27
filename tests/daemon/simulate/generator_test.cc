#include "daemon/simulate/generator.h"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "daemon/consistency/measure.h"
#include "gtest/gtest.h"

namespace muster::simulate {
namespace {

// Constant in time but for the gradient's first hundred steps.
Options Steady() {
  Options options;
  options.loss_start = options.loss_end = 2;  // mean 2.1
  return options;
}
constexpr double kLossMean = 2.1;

void ExpectSame(const frames::Report& a, const frames::Report& b) {
  EXPECT_EQ(a.rank, b.rank);
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.weight, b.weight);
  EXPECT_EQ(a.gradient_norm, b.gradient_norm);
  EXPECT_EQ(a.sketch, b.sketch);
  EXPECT_EQ(a.step_duration_seconds, b.step_duration_seconds);
}

// Mean and variance of values as they come.
struct Moments {
  double count = 0;
  double sum = 0;
  double squares = 0;

  void Add(double value) {
    ++count;
    sum += value;
    squares += value * value;
  }
  double mean() const { return sum / count; }
  double variance() const { return squares / count - mean() * mean(); }
};

TEST(GeneratorTest, SameSeedGivesTheSameRun) {
  Options options;
  options.sketch_width = 64;
  options.weights = Weights::kFresh;
  Generator a(options);
  Generator b(options);
  options.seed = 2;
  Generator other(options);
  for (uint64_t step = 0; step < 20; ++step) {
    const Step& x = a.Next();
    const Step& y = b.Next();
    ASSERT_EQ(x.frame.step, step);
    ASSERT_EQ(x.frame.reports.size(), 8u);
    for (size_t i = 0; i < 8; ++i) {
      ExpectSame(x.frame.reports[i], y.frame.reports[i]);
    }
    EXPECT_NE(*x.frame.reports[0].loss, *other.Next().frame.reports[0].loss);
  }
}

// 80,000 losses of mean L and deviation 0.02 L; bounds are five standard
// errors, 1/√n and √(2/n).
TEST(GeneratorTest, LossHasTheStatedMeanAndDeviation) {
  Generator generator(Steady());
  Moments moments;
  for (int step = 0; step < 10'000; ++step) {
    for (const frames::Report& report : generator.Next().frame.reports) {
      moments.Add((*report.loss / kLossMean - 1) / 0.02);
    }
  }
  EXPECT_NEAR(moments.mean(), 0, 5 / std::sqrt(moments.count));
  EXPECT_NEAR(moments.variance(), 1, 5 * std::sqrt(2 / moments.count));
}

// Of 1,000 frames: n² of a rank over |G|², the mean cosine of pairs, and the
// noise scale.
struct SketchedMoments {
  Moments square;
  Moments cosine;
  Moments noise;
};

SketchedMoments SketchMeans(const Options& options) {
  Generator generator(options);
  consistency::Baseline baseline;
  SketchedMoments means;
  for (int step = 0; step < 1200; ++step) {
    const Step& now = generator.Next();
    const consistency::Measures measures = baseline.Measure(now.frame);
    if (step < 200) continue;  // |G| still falls
    EXPECT_TRUE(now.cosines.empty());
    for (const frames::Report& report : now.frame.reports) {
      means.square.Add(*report.gradient_norm * *report.gradient_norm /
                       now.gradient_square);
    }
    means.cosine.Add(*measures.cosine_mean);
    means.noise.Add(*measures.covariance_trace / *measures.gradient_square);
  }
  return means;
}

// Averaged over frames of 8 ranks with k = 256: E n² = |G|² (1 + β), the mean
// cosine of pairs is near 1/(1 + β), and the noise scale comes out as it was
// put in. The estimate of |G|² has, per frame, a deviation of
// √((2 β²/k)/28 + 4 β/(8 k)), below 0.1 for β = 4: 0.3 % over 1,000 frames.
TEST(GeneratorTest, SketchesHaveTheStatedNoiseScale) {
  Options options = Steady();
  options.sketch_width = 256;
  options.direction_steps = 0;
  const auto [square, cosine, noise] = SketchMeans(options);
  EXPECT_NEAR(square.mean(), 5, 0.02);
  EXPECT_NEAR(cosine.mean(), 0.2, 0.004);
  EXPECT_NEAR(noise.mean(), 4 * 32, 4);
}

// As above, but means are those of a pool of 4,096: of n², of variance
// (2 β² + 4 β)/k, with a standard error of 0.007; of cosines, 0.2 times a
// relative error of the same kind.
TEST(GeneratorTest, DealtSketchesHaveTheStatedNoiseScale) {
  Options options = Steady();
  options.sketch_width = 256;
  options.sketch_pool = 4096;
  const auto [square, cosine, noise] = SketchMeans(options);
  EXPECT_NEAR(square.mean(), 5, 0.05);
  EXPECT_NEAR(cosine.mean(), 0.2, 0.01);
}

// A rank's deviation at a step says nothing about the next: with 400 steps of
// 8 ranks the correlation has a standard error of 0.018.
TEST(GeneratorTest, DealtSketchesAreNobodysForLong) {
  Options options = Steady();
  options.sketch_width = 64;
  options.sketch_pool = 64;
  Generator generator(options);
  std::vector<double> before(8);
  Moments products;
  Moments norms;
  for (int step = 0; step < 600; ++step) {
    const Step& now = generator.Next();
    if (step < 200) continue;
    std::set<std::string> held;
    for (size_t i = 0; i < 8; ++i) {
      const frames::Report& report = now.frame.reports[i];
      held.insert(report.sketch);
      const double norm =
          std::log(*report.gradient_norm / std::sqrt(now.gradient_square)) -
          std::log(std::sqrt(5.0));
      norms.Add(norm);
      products.Add(norm * before[i]);
      before[i] = norm;
    }
    ASSERT_EQ(held.size(), 8u);
  }
  const double covariance = products.mean() - norms.mean() * norms.mean();
  EXPECT_NEAR(covariance / norms.variance(), 0, 0.09);
}

// Scalar streams have the distribution that sketches of as many independent
// numbers have: means, and variances, of log norm and cosine.
TEST(GeneratorTest, ScalarStreamsAreDistributedAsSketchesAre) {
  Options options = Steady();
  options.effective_dimension = 256;
  Generator scalars(options);
  options.sketch_width = 256;
  Generator sketches(options);
  consistency::Baseline baseline;
  Moments norm[2];
  Moments cosine[2];
  for (int step = 0; step < 3000; ++step) {
    const Step& scalar = scalars.Next();
    const Step& sketch = sketches.Next();
    const consistency::Measures measures = baseline.Measure(sketch.frame);
    for (size_t i = 0; i < 8; ++i) {
      const double level = std::log(scalar.gradient_square);
      norm[0].Add(2 * std::log(*scalar.frame.reports[i].gradient_norm) - level);
      norm[1].Add(2 * std::log(*sketch.frame.reports[i].gradient_norm) - level);
      cosine[0].Add(scalar.cosines[i]);
      cosine[1].Add(*measures.ranks[i].gradient_cosine);
    }
  }
  // 24,000 values each; deviations are about 0.088 and 0.05.
  EXPECT_NEAR(norm[0].mean(), norm[1].mean(), 0.006);
  EXPECT_NEAR(norm[0].variance() / norm[1].variance(), 1, 0.1);
  EXPECT_NEAR(cosine[0].mean(), cosine[1].mean(), 0.006);
  EXPECT_NEAR(cosine[0].variance() / cosine[1].variance(), 1, 0.25);
}

TEST(GeneratorTest, NoiseScaleGrowsAlongAGeometricPath) {
  Options options = Steady();
  options.noise_start = 0.2;
  options.noise_end = 5;
  options.noise_steps = 100;
  Generator generator(options);
  for (int step = 0; step <= 200; ++step) {
    const Step& now = generator.Next();
    const double noise = now.covariance_trace / now.gradient_square / 32;
    // ln(0.2/5) is the way; a share e^(−step/100) of it is left.
    EXPECT_NEAR(std::log(noise / 5), std::log(0.04) * std::exp(-step / 100.0),
                1e-9);
  }
}

TEST(GeneratorTest, WeightsAreEqualFreshOrKept) {
  for (Weights weights : {Weights::kEqual, Weights::kFresh, Weights::kFixed}) {
    Options options;
    options.weights = weights;
    Generator generator(options);
    const frames::Frame first = generator.Next().frame;
    const frames::Frame& second = generator.Next().frame;
    for (size_t i = 0; i < 8; ++i) {
      const double a = *first.reports[i].weight;
      const double b = *second.reports[i].weight;
      EXPECT_GE(a, 16);
      EXPECT_LE(a, 48);
      EXPECT_EQ(a == 32, weights == Weights::kEqual);
      EXPECT_EQ(a == b, weights != Weights::kFresh);
    }
  }
}

// A rank of a quarter of the samples has twice the deviation. 20,000 values:
// the ratio's standard error is below 1 %.
TEST(GeneratorTest, SmallerBatchesAreNoisier) {
  Options options = Steady();
  options.weights = Weights::kFixed;
  Generator generator(options);
  Moments moments[8];
  double weights[8];
  for (int step = 0; step < 20'000; ++step) {
    const Step& now = generator.Next();
    for (size_t i = 0; i < 8; ++i) {
      moments[i].Add(*now.frame.reports[i].loss);
      weights[i] = *now.frame.reports[i].weight / 32;
    }
  }
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(std::sqrt(moments[i].variance() * weights[i]) / (0.02 * 2.1), 1,
                0.03);
  }
}

// What a rank draws in an epoch is the same each time, in another order.
TEST(GeneratorTest, ShardsHaveTheSameMeanInEachEpoch) {
  Options options = Steady();
  options.epoch_steps = 50;
  options.ranks = 400;
  Generator generator(options);
  std::vector<std::vector<double>> means(3, std::vector<double>(400));
  Moments within;
  for (int step = 0; step < 150; ++step) {
    const Step& now = generator.Next();
    for (size_t i = 0; i < 400; ++i) {
      const double z = (*now.frame.reports[i].loss / kLossMean - 1) / 0.02;
      means[step / 50][i] += z / 50;
      within.Add(z);
    }
  }
  Moments shards;
  for (size_t i = 0; i < 400; ++i) {
    EXPECT_NEAR(means[1][i], means[0][i], 1e-9);
    EXPECT_NEAR(means[2][i], means[0][i], 1e-9);
    shards.Add(means[0][i]);
  }
  EXPECT_NEAR(shards.variance() * 50, 1, 5 * std::sqrt(2.0 / 400));
  EXPECT_NEAR(within.variance(), 1, 0.05);
}

TEST(GeneratorTest, LearningRateWarmsUpAndDrops) {
  Options options;
  options.warmup_steps = 10;
  options.lr_drops = {20, 30};
  Generator generator(options);
  for (int step = 0; step < 40; ++step) {
    const Step& now = generator.Next();
    const double expected = step < 10   ? 1e-3 * (step + 1) / 10
                            : step < 20 ? 1e-3
                            : step < 30 ? 1e-4
                                        : 1e-5;
    EXPECT_NEAR(*now.frame.reports[3].learning_rate, expected, 1e-15);
  }
}

TEST(GeneratorTest, OverflowsTakeTheGradient) {
  Options options;
  options.overflow_every = 10;
  Generator generator(options);
  int overflows = 0;
  for (int step = 0; step < 2000; ++step) {
    const Step& now = generator.Next();
    size_t without = 0;
    for (const frames::Report& report : now.frame.reports) {
      EXPECT_TRUE(report.gradient_scale.has_value());
      EXPECT_EQ(report.nonfinite_count > 0, !report.gradient_norm.has_value());
      EXPECT_TRUE(std::isfinite(*report.loss));
      without += report.nonfinite_count > 0;
    }
    if (step < 2) {
      EXPECT_EQ(without, 8u);
    } else {
      overflows += without > 0;
    }
  }
  // Binomial(1998, 0.1): deviation 13.4.
  EXPECT_NEAR(overflows, 200, 60);
}

// A pair of runs, one with the fault.
class GeneratorFaultTest : public testing::Test {
 protected:
  void Begin(Options options, const Fault& fault) {
    options.fingerprints = true;
    healthy_ = std::make_unique<Generator>(options);
    options.faults = {fault};
    ASSERT_EQ(Validate(options), "");
    faulty_ = std::make_unique<Generator>(options);
  }
  // Expects that all but rank 3 are as they would be.
  void Next() {
    a_ = healthy_->Next().frame.reports;
    b_ = faulty_->Next().frame.reports;
    for (const frames::Report& report : b_) {
      if (report.rank != 3) ExpectSame(report, a_[report.rank]);
    }
  }
  void SkipTo(uint64_t step) {
    for (uint64_t i = 0; i < step; ++i) {
      Next();
      ExpectSame(a_[3], b_[3]);
    }
  }

  std::unique_ptr<Generator> healthy_;
  std::unique_ptr<Generator> faulty_;
  std::vector<frames::Report> a_;
  std::vector<frames::Report> b_;
};

TEST_F(GeneratorFaultTest, LossShiftIsInDeviations) {
  Begin(Steady(), {FaultKind::kLossShift, 3, 5, 2, 4});
  SkipTo(5);
  for (int i = 0; i < 2; ++i) {
    Next();
    EXPECT_NEAR(*b_[3].loss - *a_[3].loss, 4 * 0.02 * kLossMean, 1e-12);
    EXPECT_EQ(b_[3].gradient_norm, a_[3].gradient_norm);
  }
  Next();
  ExpectSame(a_[3], b_[3]);
}

TEST_F(GeneratorFaultTest, GradientIsScaled) {
  Begin(
      Steady(),
      {.kind = FaultKind::kGradientScale, .rank = 3, .onset = 5, .size = 1.3});
  SkipTo(5);
  Next();
  EXPECT_NEAR(*b_[3].gradient_norm / *a_[3].gradient_norm, 1.3, 1e-12);
  EXPECT_EQ(b_[3].loss, a_[3].loss);
}

// With a fifth of wrong labels the signal is 0.8: the cosine falls in
// proportion to 0.8/√(0.64 + β), and the loss goes a fifth of the way back.
TEST_F(GeneratorFaultTest, LabelNoiseTurnsTheGradientAndRaisesTheLoss) {
  Options options;
  options.loss_steps = 1e-3;  // at its end at once
  options.effective_dimension = 1e12;
  Begin(options,
        {.kind = FaultKind::kLabelNoise, .rank = 3, .onset = 5, .size = 0.2});
  SkipTo(5);
  const Step& healthy = healthy_->Next();
  const Step& faulty = faulty_->Next();
  EXPECT_NEAR(faulty.cosines[3] / healthy.cosines[3],
              0.8 / std::sqrt(4.64) * std::sqrt(5.0), 1e-4);
  EXPECT_NEAR(*faulty.frame.reports[3].loss - *healthy.frame.reports[3].loss,
              0.2 * (4 - kLossMean), 1e-9);
  EXPECT_EQ(faulty.cosines[2], healthy.cosines[2]);
}

TEST_F(GeneratorFaultTest, DuplicateRepeatsTheNextRank) {
  Options options;
  options.sketch_width = 64;
  options.weights = Weights::kFresh;
  Begin(options, {.kind = FaultKind::kDuplicateShard, .rank = 3, .onset = 5});
  SkipTo(5);
  Next();
  EXPECT_NE(a_[3].loss, a_[4].loss);
  EXPECT_EQ(b_[3].loss, b_[4].loss);
  EXPECT_EQ(b_[3].weight, b_[4].weight);
  EXPECT_EQ(b_[3].gradient_norm, b_[4].gradient_norm);
  EXPECT_EQ(b_[3].sketch, b_[4].sketch);
}

TEST_F(GeneratorFaultTest, NonFiniteHasNoGradient) {
  Begin(Steady(), {FaultKind::kNonFinite, 3, 5, 1});
  SkipTo(5);
  Next();
  EXPECT_TRUE(std::isnan(*b_[3].loss));
  EXPECT_EQ(b_[3].nonfinite_count, 1u);
  EXPECT_FALSE(b_[3].gradient_norm.has_value());
  Next();
  ExpectSame(a_[3], b_[3]);
}

// Bit 30 of an element x below 2 is worth 2¹²⁸; x is n/√10⁶.
TEST_F(GeneratorFaultTest, ExponentFlipIsHugeAndLastsOneStep) {
  for (uint32_t width : {0u, 64u}) {
    Options options = Steady();
    options.sketch_width = width;
    Begin(
        options,
        {.kind = FaultKind::kExponentFlip, .rank = 3, .onset = 5, .size = 30});
    SkipTo(5);
    Next();
    EXPECT_NEAR(*b_[3].gradient_norm / *a_[3].gradient_norm / 0x1p128 * 1e3, 1,
                1e-9);
    Next();
    ExpectSame(a_[3], b_[3]);
  }
}

TEST_F(GeneratorFaultTest, SlowRankDeadRankAndDriftingReplica) {
  Begin(Steady(),
        {.kind = FaultKind::kSlowRank, .rank = 3, .onset = 2, .size = 2});
  SkipTo(2);
  Next();
  EXPECT_NEAR(*b_[3].step_duration_seconds / *a_[3].step_duration_seconds, 2,
              1e-12);
  Begin(Steady(), {.kind = FaultKind::kRankDies, .rank = 3, .onset = 2});
  SkipTo(2);
  Next();
  ASSERT_EQ(b_.size(), 7u);
  EXPECT_EQ(b_[3].rank, 4u);
  Begin(Steady(), {.kind = FaultKind::kReplicaDrift, .rank = 3, .onset = 2});
  SkipTo(2);
  Next();
  EXPECT_EQ(a_[3].replica_fingerprint, a_[2].replica_fingerprint);
  EXPECT_NE(b_[3].replica_fingerprint, a_[3].replica_fingerprint);
}

TEST(GeneratorTest, NoiseScaleFaultIsOfAllRanks) {
  Options options = Steady();
  options.faults = {{.kind = FaultKind::kNoiseScale, .onset = 5, .size = 3}};
  Generator generator(options);
  for (int step = 0; step < 10; ++step) {
    const Step& now = generator.Next();
    EXPECT_NEAR(now.covariance_trace / now.gradient_square / 32,
                step < 5 ? 4 : 12, 1e-9);
  }
}

}  // namespace
}  // namespace muster::simulate
