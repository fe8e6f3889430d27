// Losses that rise and fall together: who is named, how soon, and how often
// wrongly. All seeds are fixed.
#include "daemon/detect/correlated_losses.h"

#include <cmath>
#include <cstdio>
#include <functional>
#include <random>

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"

namespace muster::detect {
namespace {

constexpr double kTarget = 5e6;

class SimulatedLosses {
 public:
  explicit SimulatedLosses(uint32_t ranks, uint64_t seed = 1)
      : engine_(seed), frame_(ranks) {}

  // `draw` gives a rank's loss; it may use Normal() and Student().
  const MeasuredFrame& Next(
      const std::function<double(uint32_t rank, uint64_t step)>& draw) {
    frame_.SetStep(step_);
    for (auto& rank : frame_.measures.ranks) rank.loss = draw(rank.rank, step_);
    ++step_;
    return frame_;
  }
  double Normal() { return normal_(engine_); }
  double Student() { return student_(engine_); }

 private:
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  std::student_t_distribution<double> student_{3};
  MeasuredFrame frame_;
  uint64_t step_ = 0;
};

// Ranks 1, 4 and 6 see the same batch, each with its own dropout: a correlation
// of 1/(1 + 0.2²) = 0.96.
TEST(CorrelatedLossesTest, NamesTheGroup) {
  CorrelatedLosses detector(DetectOptions{}, kTarget);
  SimulatedLosses run(8);
  std::vector<Finding> findings;
  double shared = 0;
  for (int i = 0; i < 100; ++i) {
    const auto& frame = run.Next([&](uint32_t rank, uint64_t) {
      if (rank == 0) shared = run.Normal();
      const bool same = rank == 1 || rank == 4 || rank == 6;
      return 3 + 0.1 * (same ? shared + 0.2 * run.Normal() : run.Normal());
    });
    for (Finding& finding : Judge(detector, frame)) {
      findings.push_back(std::move(finding));
    }
  }
  ASSERT_EQ(findings.size(), 2u);  // one for each window
  EXPECT_EQ(findings[0].kind, Kind::kDuplicateShard);
  EXPECT_EQ(findings[0].subject, "loss_correlation");
  EXPECT_EQ(findings[0].ranks, (Ranks{1, 4, 6}));
  EXPECT_EQ(findings[0].first_step, 0u);
  EXPECT_EQ(findings[0].last_step, 49u);
  EXPECT_GT(findings[0].value, 0.75);
  EXPECT_NE(findings[0].evidence.find(
                "Ranks 1, 4 and 6 seem to train on the same data"),
            std::string::npos);
  // Health clears after three windows.
  std::vector<uint64_t> cleared;
  for (int i = 0; i < 300; ++i) {
    const auto& frame =
        run.Next([&](uint32_t, uint64_t) { return 3 + 0.1 * run.Normal(); });
    for (const Finding& finding : Judge(detector, frame)) {
      EXPECT_EQ(finding.phase, Phase::kClear);
      cleared.push_back(frame.frame.step);
    }
  }
  EXPECT_EQ(cleared, std::vector<uint64_t>{249});
}

// Expected are at most frames / target: 0.07 of all cases together. Heavy
// tails, a rank that is often far off, drifts that pairs share, and unequal
// spreads must not break it.
TEST(CorrelatedLossesTest, HealthyRanksAreNotNamed) {
  using Draw = std::function<double(SimulatedLosses&, uint32_t, uint64_t)>;
  const struct {
    const char* name;
    Draw draw;
  } cases[] = {
      {"Gaussian",
       [](SimulatedLosses& run, uint32_t, uint64_t) { return run.Normal(); }},
      {"t(3)",
       [](SimulatedLosses& run, uint32_t, uint64_t) { return run.Student(); }},
      {"one odd rank",
       [](SimulatedLosses& run, uint32_t rank, uint64_t) {
         return run.Normal() + (rank == 3 ? 20 * run.Normal() : 0);
       }},
      {"shared drift",
       [](SimulatedLosses& run, uint32_t rank, uint64_t step) {
         const double drift = 0.04 * static_cast<double>(step % 50);
         return run.Normal() + (rank % 2 == 0 ? drift : 0);
       }},
      {"unequal spreads",
       [](SimulatedLosses& run, uint32_t rank, uint64_t) {
         return (1 + rank % 4) * run.Normal();
       }},
  };
  for (const auto& each : cases) {
    for (uint32_t ranks : {4, 8, 64}) {
      CorrelatedLosses detector(DetectOptions{}, kTarget);
      SimulatedLosses run(ranks, ranks);
      const uint64_t frames = ranks == 64 ? 10'000 : 40'000;
      uint64_t raises = 0;
      for (uint64_t i = 0; i < frames; ++i) {
        raises += CountRaises(
            Judge(detector, run.Next([&](uint32_t rank, uint64_t step) {
              return 10 + 0.1 * each.draw(run, rank, step);
            })));
      }
      EXPECT_EQ(raises, 0u) << each.name << ", " << ranks << " ranks";
    }
  }
}

// With a target of 500 frames 100 raises are expected in 50,000 at most, and
// the bound is not far: the test is not so careful that it never raises.
TEST(CorrelatedLossesTest, FalseAlarmsKeepALowTarget) {
  DetectOptions options;
  options.correlation = 0.3;
  CorrelatedLosses detector(options, 500);
  SimulatedLosses run(16);
  uint64_t raises = 0;
  for (int i = 0; i < 50'000; ++i) {
    raises += CountRaises(Judge(detector, run.Next([&](uint32_t, uint64_t) {
      return 3 + run.Normal();
    })));
  }
  std::printf("target 500: %llu raises in 50000 frames\n",
              static_cast<unsigned long long>(raises));
  EXPECT_LE(raises, 120u);
  EXPECT_GE(raises, 3u);
}

TEST(CorrelatedLossesTest, ThreeRanksAreTooFew) {
  CorrelatedLosses detector(DetectOptions{}, kTarget);
  SimulatedLosses run(3);
  for (int i = 0; i < 300; ++i) {
    const double shared = run.Normal();
    EXPECT_TRUE(Judge(detector, run.Next([&](uint32_t rank, uint64_t) {
                  return rank < 2 ? shared : run.Normal();
                })).empty());
  }
}

}  // namespace
}  // namespace muster::detect
