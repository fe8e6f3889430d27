// DispersionShift and DirectionShift: what they find, how soon, and how often
// they are wrong on healthy runs that drift. All seeds are fixed.
#include "daemon/detect/group_shift.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

// What a frame of a simulated run looks like.
struct Shape {
  double loss_spread = 0.1;
  double norm_cv = 0.1;
  double noise_scale = 2;  // B, in batches
  double weight = 0;       // 0: not stated
  double learning_rate = 0;
};

class SimulatedRun {
 public:
  SimulatedRun(uint32_t ranks, uint64_t seed, bool heavy_tails = false)
      : engine_(seed), heavy_tails_(heavy_tails), frame_(ranks) {}

  const MeasuredFrame& Next(const Shape& shape) {
    frame_.SetStep(step_++);
    const double batch = shape.weight > 0 ? shape.weight : 1;
    for (auto& rank : frame_.measures.ranks) {
      rank.loss = 3 + shape.loss_spread / std::sqrt(batch) * Draw();
      rank.gradient_norm = std::exp(shape.norm_cv * Draw());
      if (shape.weight > 0) rank.weight = shape.weight;
    }
    // The mean over pairs fluctuates by some percent of itself.
    frame_.measures.cosine_mean =
        1 / (1 + shape.noise_scale / batch) * (1 + 0.05 * normal_(engine_));
    frame_.frame.reports.clear();
    if (shape.learning_rate > 0) {
      frames::Report report = testing::MakeReport(0, frame_.frame.step);
      report.learning_rate = shape.learning_rate;
      frame_.frame.reports.push_back(report);
    }
    return frame_;
  }
  uint64_t step() const { return step_; }
  void Rewind(uint64_t step) {
    step_ = step;
    ++frame_.frame.attempt;
  }

 private:
  double Draw() { return heavy_tails_ ? student_(engine_) : normal_(engine_); }

  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  std::student_t_distribution<double> student_{3};
  const bool heavy_tails_;
  MeasuredFrame frame_;
  uint64_t step_ = 0;
};

GroupShift Dispersion(
    std::shared_ptr<const ReferenceCurve> reference = nullptr) {
  return GroupShift(Kind::kDispersionShift, GroupShiftOptions(), reference);
}
GroupShift Direction(
    std::shared_ptr<const ReferenceCurve> reference = nullptr) {
  return GroupShift(Kind::kDirectionShift, {.effect = 0.5}, reference);
}

using Course = std::function<Shape(uint64_t step)>;

// Raises of both kinds in `runs` runs of `frames` frames.
uint64_t Raises(uint32_t ranks, const Course& course, bool heavy_tails,
                int runs, uint64_t frames) {
  uint64_t raises = 0;
  for (int seed = 1; seed <= runs; ++seed) {
    GroupShift dispersion = Dispersion();
    GroupShift direction = Direction();
    SimulatedRun run(ranks, seed, heavy_tails);
    for (uint64_t step = 0; step < frames; ++step) {
      const MeasuredFrame& frame = run.Next(course(step));
      for (GroupShift* detector : {&dispersion, &direction}) {
        for (const Finding& finding : Judge(*detector, frame)) {
          if (finding.phase != Phase::kRaise) continue;
          if (raises++ < 3) std::printf("  %s\n", finding.evidence.c_str());
        }
      }
    }
  }
  return raises;
}

Shape Steady(uint64_t) { return {}; }

// The noise scale grows from 0.2 to hundreds, half of it in the first 100
// steps; spreads fall with the loss.
Shape Growing(uint64_t step) {
  const auto t = static_cast<double>(step);
  return {.loss_spread = 0.5 * std::pow(1 + t / 20, -0.3),
          .norm_cv = 0.1 * std::pow(1 + t / 50, 0.2),
          .noise_scale = 0.2 * std::pow(1 + t / 10, 0.8)};
}

// Linear warm-up over 500 steps, then a tenth of the rate from step 5,000 on,
// where spreads and noise jump by more than the effect size.
Shape Scheduled(uint64_t step) {
  Shape shape = Growing(step);
  shape.learning_rate =
      step >= 5000 ? 0.1 : std::min(1.0, (static_cast<double>(step) + 1) / 500);
  if (step >= 5000) {
    shape.loss_spread /= 2;
    shape.noise_scale *= 4;
  }
  return shape;
}

// A batch twice as large from step 3,000 on, stated by weights.
Shape Rebatched(uint64_t step) {
  return {.noise_scale = 50, .weight = step < 3000 ? 16.0 : 32.0};
}

// An epoch of 300 steps, after which spreads and noise swing by a fifth.
Shape Periodic(uint64_t step) {
  const double swing =
      std::exp(0.1 * std::sin(2 * M_PI * static_cast<double>(step) / 300));
  return {.loss_spread = 0.1 * swing, .norm_cv = 0.1, .noise_scale = 3 * swing};
}

// The target is 6.7·10⁶ frames for each kind: 0 is expected where the null
// holds. One raise in a case would be a rate of ten in 10⁶ frames, which fails.
TEST(GroupShiftTest, HealthyRunsRaiseNothing) {
  const struct {
    const char* name;
    Course course;
  } cases[] = {{"steady", Steady},
               {"growing", Growing},
               {"scheduled", Scheduled},
               {"rebatched", Rebatched},
               {"periodic", Periodic}};
  for (const auto& each : cases) {
    for (uint32_t ranks : {4, 8, 64}) {
      for (bool heavy_tails : {false, true}) {
        const uint64_t frames = ranks == 64 ? 6'000 : 10'000;
        const int runs = ranks == 64 ? 2 : 5;
        const uint64_t raises =
            Raises(ranks, each.course, heavy_tails, runs, frames);
        std::printf("%s, %u ranks, %s: %llu raises in %llu frames\n", each.name,
                    ranks, heavy_tails ? "t(3)" : "Gaussian",
                    static_cast<unsigned long long>(raises),
                    static_cast<unsigned long long>(runs * frames));
        EXPECT_EQ(raises, 0u) << each.name << " " << ranks;
      }
    }
  }
}

// Frames from the shift to the raise; 5,000 if there is none.
uint64_t Delay(GroupShift& detector, SimulatedRun& run, const Shape& shape,
               Finding* finding) {
  for (uint64_t delay = 1; delay < 5000; ++delay) {
    for (Finding& each : Judge(detector, run.Next(shape))) {
      if (each.phase != Phase::kRaise) continue;
      *finding = std::move(each);
      return delay;
    }
  }
  return 5000;
}

template <typename Make>
uint64_t MedianDelay(Make make, uint32_t ranks, const Shape& shape,
                     const char* subject) {
  std::vector<uint64_t> delays;
  int found = 0;
  for (uint64_t seed = 1; seed <= 31; ++seed) {
    GroupShift detector = make();
    SimulatedRun run(ranks, seed);
    for (int i = 0; i < 600; ++i) {
      EXPECT_TRUE(Judge(detector, run.Next({})).empty());
    }
    Finding finding;
    delays.push_back(Delay(detector, run, shape, &finding));
    if (delays.back() == 5000) continue;
    ++found;
    EXPECT_EQ(finding.subject, subject);
    EXPECT_TRUE(finding.ranks.empty());
  }
  // With few ranks a frame says little: what is not found before the baseline
  // follows is not found.
  EXPECT_GE(found, 29);
  std::nth_element(delays.begin(), delays.begin() + 15, delays.end());
  std::printf("%s, %u ranks: median delay %llu\n", subject, ranks,
              static_cast<unsigned long long>(delays[15]));
  return delays[15];
}

// The least possible is 28 frames: ln(4 · 6.7·10⁶ · 4)/ln 1.95.
TEST(GroupShiftTest, FindsShiftsInTensOfFrames) {
  const auto dispersion = [] { return Dispersion(); };
  const auto direction = [] { return Direction(); };
  EXPECT_LE(MedianDelay(dispersion, 8, {.loss_spread = 0.3}, "loss"), 60u);
  EXPECT_LE(MedianDelay(dispersion, 64, {.loss_spread = 0.2}, "loss"), 40u);
  EXPECT_LE(MedianDelay(dispersion, 64, {.norm_cv = 0.05}, "gradient_norm"),
            40u);
  // B from 2 to 5: the mean cosine from 0.33 to 0.17.
  EXPECT_LE(MedianDelay(direction, 8, {.noise_scale = 5}, "direction"), 40u);
}

TEST(GroupShiftTest, EvidenceSaysWhatWasExpected) {
  GroupShift detector = Direction();
  SimulatedRun run(8, 7);
  for (int i = 0; i < 600; ++i) Judge(detector, run.Next({}));
  Finding finding;
  Delay(detector, run, {.noise_scale = 5}, &finding);
  EXPECT_EQ(finding.kind, Kind::kDirectionShift);
  EXPECT_NEAR(finding.value, 1.0 / 6, 0.01);
  EXPECT_NEAR(finding.expected, 1.0 / 3, 0.01);
  EXPECT_NEAR(static_cast<double>(finding.first_step), 600, 3);
  EXPECT_NE(
      finding.evidence.find("mean cosine between ranks' gradients is 0.1"),
      std::string::npos)
      << finding.evidence;
  EXPECT_NE(finding.evidence.find("the ranks agree less than this run did"),
            std::string::npos);
}

TEST(GroupShiftTest, SpikesAreVotesLikeAnyOther) {
  GroupShift detector = Dispersion();
  SimulatedRun run(8, 3);
  for (int i = 0; i < 3000; ++i) {
    const bool spike = i > 500 && i % 9 == 0;
    EXPECT_TRUE(
        Judge(detector, run.Next({.loss_spread = spike ? 100 : 0.1})).empty())
        << i;
  }
}

// It lasts: said again, and cleared when it is over, with what was expected
// taken from before.
TEST(GroupShiftTest, StandsWhileTheShiftLasts) {
  GroupShift detector = Dispersion();
  SimulatedRun run(64, 5);
  for (int i = 0; i < 600; ++i) Judge(detector, run.Next({}));
  uint64_t raises = 0;
  for (int i = 0; i < 500; ++i) {
    for (const Finding& finding : Judge(detector, run.Next({.norm_cv = 0.3}))) {
      EXPECT_EQ(finding.phase, Phase::kRaise);
      EXPECT_EQ(finding.subject, "gradient_norm");
      EXPECT_NEAR(finding.expected, 0.1, 0.02);
      ++raises;
    }
  }
  EXPECT_GE(raises, 8u);
  std::vector<Finding> after;
  for (int i = 0; i < 2000; ++i) {
    for (Finding& finding : Judge(detector, run.Next({}))) {
      after.push_back(std::move(finding));
    }
  }
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].phase, Phase::kClear);
  EXPECT_LT(after[0].last_step, 1100u + 160);
}

TEST(GroupShiftTest, AShiftThatStaysBecomesNormal) {
  GroupShift detector = Dispersion();
  SimulatedRun run(64, 5);
  for (int i = 0; i < 600; ++i) Judge(detector, run.Next({}));
  std::vector<Finding> clears;
  uint64_t raises_after = 0;
  for (int i = 0; i < 4000; ++i) {
    for (Finding& finding : Judge(detector, run.Next({.norm_cv = 0.3}))) {
      if (finding.phase == Phase::kClear) {
        clears.push_back(std::move(finding));
      } else if (!clears.empty()) {
        ++raises_after;
      }
    }
  }
  ASSERT_EQ(clears.size(), 1u);
  EXPECT_NEAR(static_cast<double>(clears[0].last_step), 600 + 28 + 1024, 10);
  EXPECT_EQ(raises_after, 0u);
}

TEST(GroupShiftTest, HoldsTheRunAgainstItsReference) {
  auto curve = std::make_shared<ReferenceCurve>();
  SimulatedRun healthy(8, 11);
  for (uint64_t step = 0; step < 300; ++step) {
    curve->Add(step, GroupValuesOf(healthy.Next(Growing(step)).measures));
  }
  // The same course raises nothing; three times the noise from the first step
  // on does, though the run's own past knows of no shift.
  for (double factor : {1.0, 3.0}) {
    GroupShift detector = Direction(curve);
    SimulatedRun run(8, 12);
    std::vector<Finding> findings;
    for (uint64_t step = 0; step < 300; ++step) {
      Shape shape = Growing(step);
      shape.noise_scale *= factor;
      for (Finding& finding : Judge(detector, run.Next(shape))) {
        findings.push_back(std::move(finding));
      }
    }
    if (factor < 2) {
      EXPECT_TRUE(findings.empty());
      continue;
    }
    ASSERT_FALSE(findings.empty());
    EXPECT_EQ(findings[0].subject, "direction_against_reference");
    EXPECT_LT(findings[0].last_step, 40u);
    EXPECT_NE(findings[0].evidence.find("the reference run at these steps"),
              std::string::npos);
  }
}

TEST(GroupShiftTest, ARewindForgetsAndClears) {
  GroupShift detector = Dispersion();
  SimulatedRun run(64, 5);
  for (int i = 0; i < 600; ++i) Judge(detector, run.Next({}));
  for (int i = 0; i < 60; ++i) Judge(detector, run.Next({.norm_cv = 0.3}));
  run.Rewind(500);
  const auto findings = Judge(detector, run.Next({.norm_cv = 0.3}));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kReplaced);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(Judge(detector, run.Next({.norm_cv = 0.3})).empty());
  }
}

}  // namespace
}  // namespace muster::detect
