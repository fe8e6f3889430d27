#include "daemon/ingest/validate.h"

#include <cmath>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace muster::ingest {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

v1::Hello GoodHello() {
  v1::Hello hello;
  hello.set_source(1);
  hello.set_run("run-7.a_b:c");
  hello.set_rank(3);
  hello.set_world_size(8);
  hello.set_incarnation(42);
  hello.mutable_sketch()->set_version(1);
  hello.mutable_sketch()->set_width(64);
  hello.mutable_sketch()->set_seed(5);
  return hello;
}

// Half-precision 1.0 in each place.
std::string GoodSketch() {
  std::string sketch;
  for (int i = 0; i < 64; ++i) sketch += std::string("\x00\x3C", 2);
  return sketch;
}

v1::StepReport GoodReport() {
  v1::StepReport report;
  report.set_source(1);
  report.set_sequence(1);
  report.set_step(10);
  report.set_loss(2.5);
  report.set_weight(32);
  report.set_gradient_norm(0.5);
  report.set_sketch(GoodSketch());
  report.set_elements_observed(1000);
  return report;
}

v1::RefusalReason ReasonOf(const v1::Hello& hello) {
  const auto checked = CheckHello(hello, Limits{.max_world_size = 64});
  const auto* rejection = std::get_if<Rejection>(&checked);
  if (rejection == nullptr) return v1::REFUSAL_REASON_UNSPECIFIED;
  EXPECT_FALSE(rejection->detail.empty());
  return rejection->reason;
}

v1::RefusalReason ReasonOf(v1::StepReport report) {
  const auto checked = CheckReport(report, 3, 64);
  const auto* rejection = std::get_if<Rejection>(&checked);
  if (rejection == nullptr) return v1::REFUSAL_REASON_UNSPECIFIED;
  EXPECT_FALSE(rejection->detail.empty());
  return rejection->reason;
}

TEST(CheckHelloTest, TakesAGoodOne) {
  v1::Hello hello = GoodHello();
  v1::Fact* fact = hello.add_facts();
  fact->set_name("sampler_seed");
  fact->set_value("7");
  const auto checked = CheckHello(hello, Limits{});
  const auto* good = std::get_if<CheckedHello>(&checked);
  ASSERT_NE(good, nullptr);
  EXPECT_EQ(good->run, "run-7.a_b:c");
  EXPECT_EQ(good->info.rank, 3u);
  EXPECT_EQ(good->info.world_size, 8u);
  EXPECT_EQ(good->info.incarnation, 42u);
  EXPECT_EQ(good->info.sketch, (frames::SketchSpec{1, 64, 5}));
  ASSERT_EQ(good->facts->count("sampler_seed"), 1u);
  EXPECT_EQ(good->facts->at("sampler_seed").value, "7");
}

TEST(CheckHelloTest, RefusesRunIdsOutsideTheirAlphabet) {
  for (const std::string& run :
       {std::string(), std::string("a b"), std::string("a/b"), std::string("ä"),
        std::string("a\0b", 3), std::string(129, 'a'), std::string("a\n")}) {
    v1::Hello hello = GoodHello();
    hello.set_run(run);
    EXPECT_EQ(ReasonOf(hello), v1::INVALID_RUN_ID) << run;
  }
  v1::Hello hello = GoodHello();
  hello.set_run(std::string(128, 'a'));
  EXPECT_EQ(ReasonOf(hello), v1::REFUSAL_REASON_UNSPECIFIED);
}

TEST(CheckHelloTest, RefusesRanksAndWorldSizesOutOfRange) {
  v1::Hello hello = GoodHello();
  hello.set_rank(8);
  EXPECT_EQ(ReasonOf(hello), v1::INVALID_RANK);
  hello.set_rank(7);
  EXPECT_EQ(ReasonOf(hello), v1::REFUSAL_REASON_UNSPECIFIED);
  hello.set_world_size(0);
  EXPECT_EQ(ReasonOf(hello), v1::INVALID_WORLD_SIZE);
  hello.set_world_size(65);
  EXPECT_EQ(ReasonOf(hello), v1::INVALID_WORLD_SIZE);
  hello.set_world_size(64);
  EXPECT_EQ(ReasonOf(hello), v1::REFUSAL_REASON_UNSPECIFIED);
}

TEST(CheckHelloTest, RefusesSketchesOutOfRange) {
  for (const uint32_t width : {0u, 1u, 32u, 63u, 96u, 65535u, 131072u}) {
    v1::Hello hello = GoodHello();
    hello.mutable_sketch()->set_width(width);
    EXPECT_EQ(ReasonOf(hello), v1::INVALID_SKETCH) << width;
  }
  for (const uint32_t width : {64u, 1024u, 65536u}) {
    v1::Hello hello = GoodHello();
    hello.mutable_sketch()->set_width(width);
    EXPECT_EQ(ReasonOf(hello), v1::REFUSAL_REASON_UNSPECIFIED) << width;
  }
  v1::Hello hello = GoodHello();
  hello.mutable_sketch()->set_version(2);
  EXPECT_EQ(ReasonOf(hello), v1::INVALID_SKETCH);
}

TEST(CheckHelloTest, RefusesIncarnationZeroAndLongTexts) {
  v1::Hello hello = GoodHello();
  hello.set_incarnation(0);
  EXPECT_EQ(ReasonOf(hello), v1::INVALID_INCARNATION);
  hello = GoodHello();
  hello.set_host(std::string(257, 'h'));
  EXPECT_EQ(ReasonOf(hello), v1::TOO_LONG);
  hello = GoodHello();
  hello.set_client_version(std::string(65, 'v'));
  EXPECT_EQ(ReasonOf(hello), v1::TOO_LONG);
}

TEST(CheckHelloTest, RefusesFactsOverTheirLimits) {
  v1::Hello hello = GoodHello();
  hello.add_facts()->set_name(std::string(65, 'n'));
  EXPECT_EQ(ReasonOf(hello), v1::INVALID_FACT);
  hello = GoodHello();
  hello.add_facts();  // no name
  EXPECT_EQ(ReasonOf(hello), v1::INVALID_FACT);
  hello = GoodHello();
  v1::Fact* fact = hello.add_facts();
  fact->set_name("n");
  fact->set_value(std::string(257, 'v'));
  EXPECT_EQ(ReasonOf(hello), v1::INVALID_FACT);
  hello = GoodHello();
  for (int i = 0; i < 65; ++i) hello.add_facts()->set_name(std::to_string(i));
  EXPECT_EQ(ReasonOf(hello), v1::INVALID_FACT);
  hello.mutable_facts()->RemoveLast();
  EXPECT_EQ(ReasonOf(hello), v1::REFUSAL_REASON_UNSPECIFIED);
}

TEST(CheckReportTest, TakesAGoodOne) {
  v1::StepReport proto = GoodReport();
  proto.set_learning_rate(0);
  proto.set_replica_fingerprint(9);
  proto.add_sample_ids(4);
  const auto checked = CheckReport(proto, 3, 64);
  const auto* report = std::get_if<frames::Report>(&checked);
  ASSERT_NE(report, nullptr);
  EXPECT_EQ(report->rank, 3u);
  EXPECT_EQ(report->step, 10u);
  EXPECT_EQ(report->loss, 2.5);
  EXPECT_EQ(report->weight, 32.0);
  EXPECT_EQ(report->gradient_norm, 0.5);
  EXPECT_EQ(report->sketch, GoodSketch());
  EXPECT_EQ(report->learning_rate, 0.0);
  EXPECT_EQ(report->replica_fingerprint, 9u);
  EXPECT_EQ(report->sample_ids, std::vector<uint64_t>{4});
  EXPECT_FALSE(report->step_duration_seconds);
  EXPECT_FALSE(report->compute_seconds);
}

// Little-endian binary32 1.0 in each place.
std::string GoodFloatSketch() {
  std::string sketch;
  for (int i = 0; i < 64; ++i) sketch += std::string("\x00\x00\x80\x3F", 4);
  return sketch;
}

TEST(CheckReportTest, TakesWhatIsSaidOfSamplesAndParameters) {
  v1::StepReport proto = GoodReport();
  proto.set_zero_gradient_tensors(2);
  proto.set_epoch(3);
  proto.set_sample_limit(5);
  proto.set_sample_ids_are_batches(true);
  proto.add_replica_groups(6);
  proto.add_replica_groups(7);
  proto.set_parameter_sketch(GoodFloatSketch());
  proto.set_local_distance(0);
  proto.set_compute_seconds(0.25);
  proto.set_local_sketch(std::string(4 * 64, '\0'));
  const auto checked = CheckReport(proto, 3, 64);
  const auto* report = std::get_if<frames::Report>(&checked);
  ASSERT_NE(report, nullptr);
  EXPECT_EQ(report->zero_gradient_tensors, 2u);
  EXPECT_EQ(report->epoch, 3u);
  EXPECT_EQ(report->sample_limit, 5u);
  EXPECT_TRUE(report->sample_ids_are_batches);
  EXPECT_EQ(report->replica_groups, (std::vector<uint64_t>{6, 7}));
  EXPECT_EQ(report->parameter_sketch, GoodFloatSketch());
  EXPECT_EQ(report->local_distance, 0.0);
  EXPECT_EQ(report->compute_seconds, 0.25);
  EXPECT_EQ(report->local_sketch, std::string(4 * 64, '\0'));
}

TEST(CheckReportTest, RefusesWrongSketchesOfParameters) {
  for (const size_t bytes : {size_t{1}, size_t{4 * 64 - 1}, size_t{4 * 65}}) {
    v1::StepReport report = GoodReport();
    report.set_parameter_sketch(std::string(bytes, '\0'));
    EXPECT_EQ(ReasonOf(report), v1::INVALID_SKETCH_BYTES) << bytes;
    report.clear_parameter_sketch();
    report.set_local_sketch(std::string(bytes, '\0'));
    EXPECT_EQ(ReasonOf(report), v1::INVALID_SKETCH_BYTES) << bytes;
  }
  // Infinity, NaN, their negatives; then the largest finite number.
  for (const char* number : {"\x00\x00\x80\x7F", "\x01\x00\x80\x7F",
                             "\x00\x00\x80\xFF", "\xFF\xFF\xFF\xFF"}) {
    v1::StepReport report = GoodReport();
    std::string sketch = GoodFloatSketch();
    sketch.replace(4 * 63, 4, std::string(number, 4));
    report.set_parameter_sketch(sketch);
    EXPECT_EQ(ReasonOf(report), v1::INVALID_SKETCH_BYTES);
  }
  v1::StepReport report = GoodReport();
  std::string sketch = GoodFloatSketch();
  sketch.replace(0, 4, "\xFF\xFF\x7F\x7F");
  report.set_parameter_sketch(sketch);
  EXPECT_EQ(ReasonOf(report), v1::REFUSAL_REASON_UNSPECIFIED);
}

TEST(CheckReportTest, RefusesTooManyGroupsAndLateEpochs) {
  v1::StepReport report = GoodReport();
  for (int i = 0; i < kMaxReplicaGroups; ++i) report.add_replica_groups(i);
  EXPECT_EQ(ReasonOf(report), v1::REFUSAL_REASON_UNSPECIFIED);
  report.add_replica_groups(1);
  EXPECT_EQ(ReasonOf(report), v1::TOO_LONG);
  report = GoodReport();
  report.set_epoch(kMaxStep);
  EXPECT_EQ(ReasonOf(report), v1::REFUSAL_REASON_UNSPECIFIED);
  report.set_epoch(kMaxStep + 1);
  EXPECT_EQ(ReasonOf(report), v1::INVALID_VALUE);
  for (const double distance : {-1.0, kNan, kInf}) {
    report = GoodReport();
    report.set_local_distance(distance);
    EXPECT_EQ(ReasonOf(report), v1::INVALID_VALUE);
  }
}

TEST(CheckReportTest, NonFiniteLossIsNews) {
  for (const double loss : {kNan, kInf, -kInf}) {
    v1::StepReport report = GoodReport();
    report.set_loss(loss);
    report.clear_sketch();
    report.clear_gradient_norm();
    report.set_nonfinite_count(7);
    EXPECT_EQ(ReasonOf(report), v1::REFUSAL_REASON_UNSPECIFIED);
  }
}

TEST(CheckReportTest, RefusesSequenceZeroAndFarSteps) {
  v1::StepReport report = GoodReport();
  report.set_sequence(0);
  EXPECT_EQ(ReasonOf(report), v1::INVALID_SEQUENCE);
  report = GoodReport();
  report.set_step(kMaxStep);
  EXPECT_EQ(ReasonOf(report), v1::REFUSAL_REASON_UNSPECIFIED);
  report.set_step(kMaxStep + 1);
  EXPECT_EQ(ReasonOf(report), v1::INVALID_STEP);
}

TEST(CheckReportTest, RefusesNormsThatAreNone) {
  for (const double norm : {-1e-300, -1.0, kNan, kInf, -kInf}) {
    v1::StepReport report = GoodReport();
    report.set_gradient_norm(norm);
    EXPECT_EQ(ReasonOf(report), v1::INVALID_NORM) << norm;
  }
}

TEST(CheckReportTest, RefusesSketchesThatAreNone) {
  v1::StepReport report = GoodReport();
  report.mutable_sketch()->pop_back();
  EXPECT_EQ(ReasonOf(report), v1::INVALID_SKETCH_BYTES);
  report = GoodReport();
  report.clear_gradient_norm();
  EXPECT_EQ(ReasonOf(report), v1::INVALID_SKETCH_BYTES);
  report = GoodReport();
  report.set_gradient_norm(0);
  EXPECT_EQ(ReasonOf(report), v1::INVALID_SKETCH_BYTES);
  report = GoodReport();
  report.set_sketch(std::string(128, '\0'));
  EXPECT_EQ(ReasonOf(report), v1::INVALID_SKETCH_BYTES);
  // −0 in each place is zero too.
  std::string negative_zero;
  for (int i = 0; i < 64; ++i) negative_zero += std::string("\x00\x80", 2);
  report.set_sketch(negative_zero);
  EXPECT_EQ(ReasonOf(report), v1::INVALID_SKETCH_BYTES);
  // Infinity and NaN in one place.
  for (const char high : {'\x7C', '\x7E', '\xFC', '\xFF'}) {
    report = GoodReport();
    (*report.mutable_sketch())[127] = high;
    EXPECT_EQ(ReasonOf(report), v1::INVALID_SKETCH_BYTES);
  }
}

TEST(CheckReportTest, RefusesNumbersOutsideTheirRange) {
  for (const double value : {0.0, -1.0, kNan, kInf}) {
    v1::StepReport report = GoodReport();
    report.set_weight(value);
    EXPECT_EQ(ReasonOf(report), v1::INVALID_VALUE);
    report = GoodReport();
    report.set_gradient_scale(value);
    EXPECT_EQ(ReasonOf(report), v1::INVALID_VALUE);
  }
  for (const double value : {-1.0, kNan, kInf}) {
    v1::StepReport report = GoodReport();
    report.set_learning_rate(value);
    EXPECT_EQ(ReasonOf(report), v1::INVALID_VALUE);
    report = GoodReport();
    report.set_step_duration_seconds(value);
    EXPECT_EQ(ReasonOf(report), v1::INVALID_VALUE);
    report = GoodReport();
    report.set_compute_seconds(value);
    EXPECT_EQ(ReasonOf(report), v1::INVALID_VALUE);
  }
}

TEST(CheckReportTest, RefusesTooManySampleIds) {
  v1::StepReport report = GoodReport();
  for (int i = 0; i < kMaxSampleIds; ++i) report.add_sample_ids(i);
  EXPECT_EQ(ReasonOf(report), v1::REFUSAL_REASON_UNSPECIFIED);
  report.add_sample_ids(1);
  EXPECT_EQ(ReasonOf(report), v1::TOO_LONG);
}

TEST(ReasonLabelTest, IsLowerCase) {
  EXPECT_EQ(ReasonLabel(v1::INVALID_NORM), "invalid_norm");
  const std::vector<std::string> labels = ReasonLabels();
  EXPECT_EQ(labels.size(), 19u);
  EXPECT_EQ(labels.front(), "invalid_run_id");
  EXPECT_EQ(labels.back(), "not_allowed");
}

}  // namespace
}  // namespace muster::ingest
