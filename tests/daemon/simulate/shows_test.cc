// What the daemon promises of synthetic runs: few alarms on healthy ones, the
// right rank on one bad rank, and the noise scale that was put in. A share of
// `scripts/bench detection`, with fixed seeds.
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "daemon/consistency/measure.h"
#include "daemon/simulate/generator.h"
#include "gtest/gtest.h"
#include "muster/sketch.h"
#include "tests/testing/healthy_runs.h"
#include "tests/testing/simulated_run.h"

namespace muster {
namespace {

using testing::SimulatedRun;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MUSTER_SLOW_BUILD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MUSTER_SLOW_BUILD 1
#endif

// Sanitizers cost a factor of ten and more.
#ifdef MUSTER_SLOW_BUILD
constexpr uint64_t kReduction = 10;
#else
constexpr uint64_t kReduction = 1;
#endif

std::set<std::string> FiredKinds(const std::vector<alert::Alert>& changes) {
  std::set<std::string> kinds;
  for (const alert::Alert& change : changes) {
    if (change.state == alert::State::kFiring) {
      kinds.insert(detect::KindName(change.finding.kind));
    }
  }
  return kinds;
}

class HealthyRunTest : public ::testing::TestWithParam<testing::HealthyCase> {};

// At most frames/target alarms are expected from RankOutlier. They are not
// Poisson, but come from many near-independent stretches of streams, so that
// twice the expected 20 is more than four standard deviations.
TEST_P(HealthyRunTest, KeepsATargetOfAThousandFrames) {
  const uint64_t frames = 20'000 / kReduction;
  uint64_t alarms = 0;
  for (uint64_t done = 0, seed = 1; done < frames; ++seed) {
    detect::DetectOptions detect = GetParam().detect;
    detect.rank_outlier.target_frames = 1e3;
    simulate::Options options = GetParam().options;
    options.seed = seed;
    SimulatedRun run(options, detect);
    for (uint64_t i = 0; i < GetParam().steps && done < frames; ++i, ++done) {
      alarms += FiredKinds(run.Next()).contains("RankOutlier");
    }
  }
  EXPECT_LE(alarms, 2 * frames / 1000);
}

// The bound on the expected number of alarms of RankOutlier is 0.04 here; no
// other kind may fire on a healthy run of this length at all.
TEST_P(HealthyRunTest, DefaultsAreSilent) {
  const uint64_t frames = 40'000 / kReduction;
  for (uint64_t done = 0, seed = 1001; done < frames; ++seed) {
    simulate::Options options = GetParam().options;
    options.seed = seed;
    SimulatedRun run(options, GetParam().detect);
    for (uint64_t i = 0; i < GetParam().steps && done < frames; ++i, ++done) {
      EXPECT_EQ(FiredKinds(run.Next()), std::set<std::string>())
          << "seed " << seed << " step " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, HealthyRunTest,
                         ::testing::ValuesIn(testing::HealthyCases()),
                         [](const auto& info) { return info.param.name; });

// One rank is 4 standard deviations off for 5,000 frames. With target 10⁶, a
// bound of 0.005 on the expected number of wrong names in each.
TEST(OneBadRankTest, NamesNoOther) {
  for (uint32_t ranks : {3u, 4u, 8u, 64u}) {
    simulate::Options options;
    options.ranks = ranks;
    options.faults = {{.kind = simulate::FaultKind::kLossShift,
                       .rank = 1,
                       .onset = 300,
                       .size = 4}};
    SimulatedRun run(options, detect::DetectOptions());
    std::set<std::vector<uint32_t>> named;
    for (uint64_t i = 0; i < 300 + 5000 / kReduction; ++i) {
      for (const alert::Alert& change : run.Next()) {
        EXPECT_NE(change.state, alert::State::kResolved);
        EXPECT_GE(run.step().frame.step, 300u);
        named.insert(change.finding.ranks);
      }
    }
    EXPECT_EQ(named, std::set<std::vector<uint32_t>>{{1}}) << ranks;
  }
}

TEST(OneBadRankTest, OfTwoNobodyIsBlamed) {
  simulate::Options options;
  options.ranks = 2;
  options.faults = {{.kind = simulate::FaultKind::kLossShift,
                     .rank = 1,
                     .onset = 300,
                     .size = 4}};
  SimulatedRun run(options, detect::DetectOptions());
  int fired = 0;
  for (uint64_t i = 0; i < 300 + 5000 / kReduction; ++i) {
    for (const alert::Alert& change : run.Next()) {
      fired += change.state == alert::State::kFiring;
      // That the ranks agree less than before is true, and blames nobody.
      if (change.finding.kind == detect::Kind::kDispersionShift) {
        EXPECT_NE(change.state, alert::State::kFiring);
        EXPECT_TRUE(change.finding.ranks.empty());
        continue;
      }
      EXPECT_EQ(change.finding.ranks, (std::vector<uint32_t>{0, 1}));
      EXPECT_NE(
          change.finding.evidence.find("cannot be attributed to one of them"),
          std::string::npos)
          << change.finding.evidence;
    }
  }
  EXPECT_EQ(fired, 1);
}

// Gradients of 4,096 elements with a mean direction that is new at each frame,
// seen through sketches of 1,024 numbers. Per frame the estimate of |G|² = 1
// has a deviation of √(2 β²/(28 k) + β/(2 k)): 0.45 at β = 50. An average over
// 1,000 frames has 1.4 %, in which the mean of the noise scale over the frames
// is biased by less than 1 %; a tenth is more than five deviations.
TEST(NoiseScaleTest, ComesOutAsItWasPutIn) {
  constexpr uint32_t kElements = 4096;
  constexpr int kSeeds = 8;
  for (double noise : {1.0, 10.0, 50.0}) {
    simulate::Options options;
    options.sketch_width = kElements;
    options.direction_steps = 0;
    options.noise_start = options.noise_end = noise;
    options.batch_samples = 1;
    simulate::Generator generator(options);
    std::vector<consistency::Baseline> baselines(kSeeds);
    std::vector<double> sums(kSeeds);
    std::vector<int> published(kSeeds);
    for (uint64_t i = 0; i < 1000 / kReduction; ++i) {
      const frames::Frame& gradients = generator.Next().frame;
      for (int seed = 0; seed < kSeeds; ++seed) {
        frames::Frame frame = gradients;
        Sketch sketch({.width = 1024, .seed = static_cast<uint64_t>(seed)});
        for (frames::Report& report : frame.reports) {
          // The generator's directions are vectors of halves.
          sketch.Reset();
          sketch.Add(0, report.sketch.data(), kElements, DataType::kFloat16);
          sketch.EncodeTo(&report.sketch);
        }
        const auto measures = baselines[seed].Measure(frame);
        if (!measures.noise_scale) continue;
        sums[seed] += *measures.noise_scale;
        ++published[seed];
      }
    }
    for (int seed = 0; seed < kSeeds; ++seed) {
      EXPECT_NEAR(sums[seed] / published[seed] / noise, 1, 0.1)
          << "B/b " << noise << ", sketch seed " << seed;
      EXPECT_GE(published[seed], 900 / static_cast<int>(kReduction));
    }
  }
}

}  // namespace
}  // namespace muster
