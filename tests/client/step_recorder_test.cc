#include "client/src/step_recorder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "client/src/fingerprint.h"
#include "client/src/sketch_hash.h"
#include "muster/v1/telemetry.pb.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

constexpr SketchSpec kSpec{.width = 64};

struct Parts {
  explicit Parts(const SketchSpec& spec) : device(spec) {}
  DeviceSketch device;
  ClientStatus status{Facts()};
};

// One that is given no device memory.
class RecorderOfHost : private Parts, public StepRecorder {
 public:
  explicit RecorderOfHost(const SketchSpec& spec)
      : Parts(spec), StepRecorder(spec, &device, &status) {}
};

v1::StepReport End(StepRecorder& recorder, const StepEnd& end,
                   SteadyTime now = SteadyTime()) {
  Report made;
  made.bytes = "left from before";
  recorder.EndStep(end, 5, WallTime(std::chrono::nanoseconds(1'500'000'000)),
                   now, &made);
  v1::StepReport report;
  EXPECT_TRUE(report.ParseFromString(made.bytes));
  return report;
}

void Observe(StepRecorder& recorder, const std::vector<float>& values,
             uint64_t offset = 0, SteadyTime now = SteadyTime()) {
  recorder.Observe(offset, values.data(), values.size(), DataType::kFloat32,
                   now);
}

TEST(StepRecorderTest, ReportsWhatItWasGiven) {
  RecorderOfHost recorder(kSpec);
  const v1::StepReport report = End(recorder, {.step = 42,
                                               .loss = 1.5,
                                               .weight = 32,
                                               .learning_rate = 0.1,
                                               .replica_fingerprint = 99,
                                               .sample_ids = {7, 8}});
  EXPECT_EQ(report.source(), kSource);
  EXPECT_EQ(report.sequence(), 5u);
  EXPECT_EQ(report.step(), 42u);
  EXPECT_EQ(report.loss(), 1.5);
  EXPECT_EQ(report.weight(), 32);
  EXPECT_EQ(report.learning_rate(), 0.1);
  EXPECT_EQ(report.replica_fingerprint(), 99u);
  ASSERT_EQ(report.sample_ids_size(), 2);
  EXPECT_EQ(report.sample_ids(1), 8u);
  EXPECT_EQ(report.wall_time_unix_nanos(), 1'500'000'000);
  EXPECT_FALSE(report.has_gradient_scale());
}

TEST(StepRecorderTest, NormIsEuclideanOverAllChunks) {
  RecorderOfHost recorder(kSpec);
  Observe(recorder, {4, 0}, 1);
  Observe(recorder, {3}, 0);
  const v1::StepReport report = End(recorder, {});
  EXPECT_DOUBLE_EQ(report.gradient_norm(), 5);
  EXPECT_EQ(report.elements_observed(), 3u);
  EXPECT_EQ(report.sketch().size(), 2u * kSpec.width);
  EXPECT_FALSE(report.multiple_backward());
}

TEST(StepRecorderTest, EncodesTheWidestSketchAndAllSampleIds) {
  RecorderOfHost recorder({.width = 65536});
  Observe(recorder, std::vector<float>(65536, 1.0f));
  const v1::StepReport report =
      End(recorder, {.sample_ids = std::vector<uint64_t>(5000, ~uint64_t{0})});
  EXPECT_DOUBLE_EQ(report.gradient_norm(), 256);
  EXPECT_EQ(report.sketch().size(), 131072u);
  EXPECT_EQ(report.sample_ids_size(), 4096);
  EXPECT_EQ(report.sample_ids(4095), ~uint64_t{0});
}

TEST(StepRecorderTest, NormIsDividedByTheLossScaleAndTheSketchIsNot) {
  RecorderOfHost recorder(kSpec);
  Observe(recorder, {3, 4});
  const v1::StepReport plain = End(recorder, {});
  Observe(recorder, {3 * 1024, 4 * 1024});
  const v1::StepReport scaled = End(recorder, {.gradient_scale = 1024});
  EXPECT_DOUBLE_EQ(scaled.gradient_norm(), 5);
  EXPECT_EQ(scaled.gradient_scale(), 1024);
  EXPECT_EQ(scaled.sketch(), plain.sketch());
}

TEST(StepRecorderTest, NonFiniteElementsAreCountedAndLeaveNoNorm) {
  RecorderOfHost recorder(kSpec);
  Observe(recorder, {1, std::nanf(""), INFINITY, 2});
  const v1::StepReport report = End(recorder, {});
  EXPECT_EQ(report.nonfinite_count(), 2u);
  EXPECT_EQ(report.elements_observed(), 4u);
  EXPECT_FALSE(report.has_gradient_norm());
  EXPECT_TRUE(report.sketch().empty());
}

TEST(StepRecorderTest, NonFiniteLossIsNews) {
  RecorderOfHost recorder(kSpec);
  const v1::StepReport report =
      End(recorder, {.loss = std::numeric_limits<double>::infinity()});
  ASSERT_TRUE(report.has_loss());
  EXPECT_TRUE(std::isinf(report.loss()));
}

TEST(StepRecorderTest, ZeroGradientHasANormAndNoSketch) {
  RecorderOfHost recorder(kSpec);
  Observe(recorder, {0, 0, 0});
  const v1::StepReport report = End(recorder, {});
  ASSERT_TRUE(report.has_gradient_norm());
  EXPECT_EQ(report.gradient_norm(), 0);
  EXPECT_TRUE(report.sketch().empty());
}

TEST(StepRecorderTest, NothingObservedLeavesNoNorm) {
  RecorderOfHost recorder(kSpec);
  const v1::StepReport report = End(recorder, {.loss = 1.0});
  EXPECT_FALSE(report.has_gradient_norm());
  EXPECT_TRUE(report.sketch().empty());
  EXPECT_EQ(report.elements_observed(), 0u);
}

TEST(StepRecorderTest, CancellingElementsOfOneLaneSendNoDirection) {
  // Some block puts its first element into the same lane, with the same sign,
  // as block 0 does: found by looking, as the sketch is a hash.
  for (uint64_t block = 1; block < 10'000; ++block) {
    RecorderOfHost recorder(kSpec);
    Observe(recorder, {1}, 0);
    Observe(recorder, {-1}, block * kSpec.width);
    const v1::StepReport report = End(recorder, {});
    ASSERT_DOUBLE_EQ(report.gradient_norm(), std::sqrt(2.0));
    if (report.sketch().empty()) return;
    ASSERT_NE(report.sketch(), std::string(2 * kSpec.width, '\0'));
  }
  FAIL() << "no pair of blocks shares a lane";
}

TEST(StepRecorderTest, SecondObservationOfAnOffsetIsMarkedForOneStep) {
  RecorderOfHost recorder(kSpec);
  Observe(recorder, {1, 2, 3}, 0);
  Observe(recorder, {4}, 2);
  const v1::StepReport twice = End(recorder, {});
  EXPECT_TRUE(twice.multiple_backward());
  EXPECT_EQ(twice.elements_observed(), 3u);
  Observe(recorder, {1, 2, 3}, 0);
  EXPECT_FALSE(End(recorder, {}).multiple_backward());
}

TEST(StepRecorderTest, CountsCallsWithNothingButZeros) {
  RecorderOfHost recorder(kSpec);
  EXPECT_FALSE(End(recorder, {}).has_zero_gradient_tensors());
  Observe(recorder, {0, -0.0f, 0}, 0);
  Observe(recorder, {0, 0, 0, 0, 1e-40f}, 3);
  Observe(recorder, {0}, 8);
  EXPECT_EQ(End(recorder, {}).zero_gradient_tensors(), 2u);
  Observe(recorder, {1}, 0);
  EXPECT_EQ(End(recorder, {}).zero_gradient_tensors(), 0u);
  const uint16_t halves[5] = {0x8000, 0, 0x8000, 0, 0x8000};
  recorder.Observe(0, halves, 5, DataType::kFloat16, SteadyTime());
  EXPECT_EQ(End(recorder, {}).zero_gradient_tensors(), 1u);
}

TEST(StepRecorderTest, ReportsEpochOfSamples) {
  RecorderOfHost recorder(kSpec);
  const v1::StepReport report = End(recorder, {.sample_ids = {4},
                                               .epoch = 7,
                                               .sample_limit = 9,
                                               .sample_ids_are_batches = true});
  EXPECT_EQ(report.epoch(), 7u);
  EXPECT_EQ(report.sample_limit(), 9u);
  EXPECT_TRUE(report.sample_ids_are_batches());
  const v1::StepReport without = End(recorder, {.epoch = kMaxStep + 1});
  EXPECT_FALSE(without.has_epoch());
  EXPECT_FALSE(without.has_sample_limit());
  EXPECT_EQ(ValidateStepEnd({.epoch = kMaxStep + 1}),
            "epoch = 4611686018427387905: must be 0 to 2^62");
}

std::vector<float> FloatsOf(const std::string& bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

TEST(StepRecorderTest, ReportsParameters) {
  RecorderOfHost recorder(kSpec);
  const std::vector<float> x = {1, 2, 3, 4, 5};
  recorder.ObserveParameters(2, 0, x.data(), 3, DataType::kFloat32);
  recorder.ObserveParameters(0, 3, x.data() + 3, 2, DataType::kFloat32);
  const v1::StepReport report = End(recorder, {});
  const uint64_t groups[3] = {Fingerprint(3, x.data() + 3, 8), 0,
                              Fingerprint(0, x.data(), 12)};
  ASSERT_EQ(report.replica_groups_size(), 3);
  uint64_t all = 0;
  for (uint64_t g = 0; g < 3; ++g) {
    EXPECT_EQ(report.replica_groups(static_cast<int>(g)), groups[g]);
    all += Mix64(groups[g] + (g + 1) * kPermutationIncrement);
  }
  EXPECT_EQ(report.replica_fingerprint(), all);
  Sketch sketch(kSpec);
  sketch.Add(0, x.data(), x.size(), DataType::kFloat32);
  const std::vector<float> sent = FloatsOf(report.parameter_sketch());
  ASSERT_EQ(sent.size(), kSpec.width);
  for (size_t j = 0; j < sent.size(); ++j) {
    EXPECT_EQ(sent[j], sketch.values()[j]);
  }
  const v1::StepReport next = End(recorder, {});
  EXPECT_FALSE(next.has_replica_fingerprint());
  EXPECT_TRUE(next.parameter_sketch().empty());
  EXPECT_EQ(next.replica_groups_size(), 0);
}

TEST(StepRecorderTest, ParametersThatAreNotFiniteHaveAFingerprintOnly) {
  RecorderOfHost recorder(kSpec);
  const float x[2] = {1, std::numeric_limits<float>::infinity()};
  recorder.ObserveParameters(0, 0, x, 2, DataType::kFloat32);
  recorder.ObserveParameters(kMaxReplicaGroups, 0, x, 2, DataType::kFloat32);
  recorder.ObserveChange(0, x, 2, DataType::kFloat32);
  const v1::StepReport report = End(recorder, {});
  EXPECT_TRUE(report.has_replica_fingerprint());
  EXPECT_EQ(report.replica_groups_size(), 1);
  EXPECT_TRUE(report.parameter_sketch().empty());
  EXPECT_FALSE(report.has_local_distance());
  EXPECT_TRUE(report.local_sketch().empty());
}

TEST(StepRecorderTest, ReportsTheChangeOfParameters) {
  RecorderOfHost recorder(kSpec);
  const float change[2] = {3, -4};
  recorder.ObserveChange(70, change, 2, DataType::kFloat32);
  const v1::StepReport report = End(recorder, {});
  EXPECT_EQ(report.local_distance(), 5);
  double square = 0;
  for (float value : FloatsOf(report.local_sketch())) square += value * value;
  EXPECT_EQ(square, 25);  // two elements of one block never collide
  EXPECT_FALSE(End(recorder, {}).has_local_distance());
}

TEST(StepRecorderTest, DurationIsTheTimeSinceTheLastReport) {
  RecorderOfHost recorder(kSpec);
  const SteadyTime start(std::chrono::hours(5));
  EXPECT_FALSE(End(recorder, {}, start).has_step_duration_seconds());
  EXPECT_DOUBLE_EQ(
      End(recorder, {}, start + milliseconds(250)).step_duration_seconds(),
      0.25);
}

TEST(StepRecorderTest, ComputeTimeEndsWithTheLastObservation) {
  RecorderOfHost recorder(kSpec);
  const SteadyTime start(std::chrono::hours(5));
  Observe(recorder, {1}, 0, start);
  EXPECT_FALSE(
      End(recorder, {}, start + milliseconds(100)).has_compute_seconds())
      << "of the first step";
  Observe(recorder, {1}, 1, start + milliseconds(300));
  Observe(recorder, {1}, 0, start + milliseconds(350));
  const v1::StepReport report =
      End(recorder, {}, start + milliseconds(1100));  // after the all-reduce
  EXPECT_DOUBLE_EQ(report.compute_seconds(), 0.25);
  EXPECT_DOUBLE_EQ(report.step_duration_seconds(), 1);
  EXPECT_FALSE(
      End(recorder, {}, start + milliseconds(1200)).has_compute_seconds())
      << "without a gradient";
  Observe(recorder, {1}, 0, start + milliseconds(1210));
  EXPECT_NEAR(End(recorder, {}, start + milliseconds(1300)).compute_seconds(),
              0.01, 1e-12);
}

TEST(StepRecorderTest, ComputeTimeIsWithoutWhatWasWaited) {
  RecorderOfHost recorder(kSpec);
  const SteadyTime start(std::chrono::hours(5));
  End(recorder, {}, start);
  Observe(recorder, {1}, 0, start + milliseconds(300));
  const v1::StepReport report =
      End(recorder, {.waited_seconds = 0.1}, start + milliseconds(400));
  EXPECT_NEAR(report.compute_seconds(), 0.2, 1e-12);
  EXPECT_DOUBLE_EQ(report.step_duration_seconds(), 0.4);
  Observe(recorder, {1}, 0, start + milliseconds(500));
  EXPECT_EQ(End(recorder, {.waited_seconds = 5}, start + milliseconds(600))
                .compute_seconds(),
            0);
  Observe(recorder, {1}, 0, start + milliseconds(700));
  EXPECT_FALSE(End(recorder, {.waited_seconds = -1}, start + milliseconds(800))
                   .has_compute_seconds());
  EXPECT_EQ(ValidateStepEnd({.waited_seconds = -1}),
            "waited_seconds = -1.000000: must be finite and at least 0");
}

TEST(StepRecorderTest, NoComputeTimeWhereOtherRanksWereWaitedFor) {
  RecorderOfHost recorder(kSpec);
  const SteadyTime start(std::chrono::hours(5));
  End(recorder, {}, start);
  Observe(recorder, {1}, 0, start + milliseconds(1));
  Observe(recorder, {1}, 0, start + milliseconds(9));  // a second backward pass
  EXPECT_FALSE(
      End(recorder, {}, start + milliseconds(10)).has_compute_seconds());
  Observe(recorder, {1}, 0, start + milliseconds(19));
  EXPECT_FALSE(End(recorder, {.observed_late = true}, start + milliseconds(20))
                   .has_compute_seconds());
  Observe(recorder, {1}, 0, start + milliseconds(21));
  recorder.GiveUpStep();
  Observe(recorder, {1}, 0, start + milliseconds(31));
  const v1::StepReport report = End(recorder, {}, start + milliseconds(40));
  EXPECT_FALSE(report.has_compute_seconds());
  EXPECT_DOUBLE_EQ(report.step_duration_seconds(), 0.02);
  Observe(recorder, {1}, 0, start + milliseconds(45));
  EXPECT_NEAR(End(recorder, {}, start + milliseconds(50)).compute_seconds(),
              0.005, 1e-12);
}

TEST(StepRecorderTest, LeavesOutWhatTheDaemonWouldRefuse) {
  RecorderOfHost recorder(kSpec);
  Observe(recorder, {3, 4});
  const v1::StepReport report =
      End(recorder, {.loss = 1.0,
                     .weight = 0.0,
                     .learning_rate = std::numeric_limits<double>::quiet_NaN(),
                     .gradient_scale = -1.0,
                     .sample_ids = std::vector<uint64_t>(5000, 1)});
  EXPECT_FALSE(report.has_weight());
  EXPECT_FALSE(report.has_learning_rate());
  EXPECT_FALSE(report.has_gradient_scale());
  EXPECT_FALSE(report.has_gradient_norm()) << "by an unknown factor";
  EXPECT_TRUE(report.sketch().empty());
  EXPECT_EQ(report.elements_observed(), 2u);
  EXPECT_EQ(report.sample_ids_size(), 4096);
}

TEST(StepRecorderTest, OverflowUnderAScalerIsCountedAndLeavesNothingBehind) {
  RecorderOfHost recorder(kSpec);
  Observe(recorder, {INFINITY, 1});
  const v1::StepReport overflow = End(recorder, {.gradient_scale = 65536});
  EXPECT_EQ(overflow.gradient_scale(), 65536);
  EXPECT_EQ(overflow.nonfinite_count(), 1u);
  EXPECT_FALSE(overflow.has_gradient_norm());
  EXPECT_TRUE(overflow.sketch().empty());
  Observe(recorder, {3 * 32768, 4 * 32768});
  const v1::StepReport next = End(recorder, {.gradient_scale = 32768});
  EXPECT_EQ(next.nonfinite_count(), 0u);
  EXPECT_DOUBLE_EQ(next.gradient_norm(), 5);
}

TEST(StepRecorderTest, NormIsRightWhereItsScaledSquareOverflows) {
  RecorderOfHost recorder(kSpec);
  Observe(recorder, {3e38f, -3e38f});
  const v1::StepReport report = End(recorder, {.gradient_scale = 1e38});
  EXPECT_NEAR(report.gradient_norm(), 3 * std::sqrt(2.0), 1e-6);
}

TEST(StepRecorderTest, IgnoresOffsetsBeyond64Bits) {
  RecorderOfHost recorder(kSpec);
  Observe(recorder, {1, 2}, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(End(recorder, {}).elements_observed(), 0u);
}

TEST(StepRecorderTest, ValidationNamesFieldValueAndRange) {
  EXPECT_EQ(ValidateStepEnd({.step = kMaxStep, .loss = NAN, .weight = 1.0}),
            "");
  EXPECT_EQ(ValidateStepEnd({.step = kMaxStep + 1}),
            "step = 4611686018427387905: must be 0 to 2^62");
  EXPECT_EQ(ValidateStepEnd({.weight = 0.0}),
            "weight = 0.000000: must be finite and above 0");
  EXPECT_EQ(ValidateStepEnd({.gradient_scale = -2.0}),
            "gradient_scale = -2.000000: must be finite and above 0");
  EXPECT_EQ(ValidateStepEnd({.learning_rate = -1.0}),
            "learning_rate = -1.000000: must be finite and at least 0");
}

}  // namespace
}  // namespace muster
