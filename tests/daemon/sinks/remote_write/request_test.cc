#include "daemon/sinks/remote_write/request.h"

#include <snappy.h>

#include <bit>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "daemon/export/families.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus_write/write_request.pb.h"
#include "tests/daemon/hand_built_run.h"

namespace muster::sinks::remote_write {
namespace {

using muster::testing::HandBuiltRun;
using muster::testing::MeasuresOf;
using muster::testing::Shared;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;
using ::testing::Pair;

// (time, bits of the value) of each sample, by labels as in PromQL.
using Samples =
    std::map<std::string, std::vector<std::pair<int64_t, uint64_t>>>;

uint64_t Bits(double value) { return std::bit_cast<uint64_t>(value); }

Samples Decode(const std::string& body) {
  std::string plain;
  EXPECT_TRUE(snappy::Uncompress(body.data(), body.size(), &plain));
  prometheus_write::WriteRequest request;
  EXPECT_TRUE(request.ParseFromString(plain));
  Samples samples;
  for (const auto& series : request.timeseries()) {
    std::string name;
    for (const auto& label : series.labels()) {
      name += label.name() + "=" + label.value() + ";";
    }
    EXPECT_FALSE(samples.contains(name)) << "twice: " << name;
    for (const auto& sample : series.samples()) {
      samples[name].emplace_back(sample.timestamp(), Bits(sample.value()));
    }
  }
  return samples;
}

Step StepAt(int64_t time_ms, const consistency::Measures* measures,
            uint32_t max_ranks = 0) {
  return MakeStep({1, 1}, absl::FromUnixMillis(time_ms), measures, max_ranks);
}

// The field numbers are those of the specification: these bytes are a request
// as its protocol buffers text would be encoded by hand.
TEST(WriteRequestTest, HasTheBytesOfTheSpecification) {
  prometheus_write::WriteRequest request;
  auto& series = *request.add_timeseries();
  auto& label = *series.add_labels();
  label.set_name("a");
  label.set_value("b");
  auto& sample = *series.add_samples();
  sample.set_value(1);
  sample.set_timestamp(5);
  EXPECT_EQ(request.SerializeAsString(),
            std::string("\x0a\x15"
                        "\x0a\x06\x0a\x01"
                        "a\x12\x01"
                        "b"
                        "\x12\x0b\x09\0\0\0\0\0\0\xf0\x3f\x10\x05",
                        23));
}

TEST(EncodeRequestTest, GivesEachSeriesASampleOfEachStep) {
  auto first = MeasuresOf(7, 2, 2);
  auto second = MeasuresOf(8, 2, 2);
  second.loss_mean = -3.5;
  second.noise_scale.reset();
  const std::vector<Step> steps = {StepAt(1000, &first), StepAt(1050, &second)};
  const Samples samples = Decode(EncodeRequest("r", {}, steps, {}));
  EXPECT_EQ(samples.size(), kRunMetrics);
  EXPECT_THAT(samples.at("__name__=muster_step;run=r;"),
              ElementsAre(Pair(1000, Bits(7)), Pair(1050, Bits(8))));
  EXPECT_THAT(samples.at("__name__=muster_loss_mean;run=r;"),
              ElementsAre(Pair(1000, Bits(2.25)), Pair(1050, Bits(-3.5))));
  EXPECT_THAT(samples.at("__name__=muster_gradient_noise_scale;run=r;"),
              ElementsAre(Pair(1000, Bits(96))));
}

TEST(EncodeRequestTest, SortsLabels) {
  auto measures = MeasuresOf(7, 2, 2);
  const std::vector<Step> steps = {StepAt(1000, &measures, 2)};
  const Samples samples =
      Decode(EncodeRequest("r", {{"zone", "1"}, {"cluster", "a"}}, steps, {}));
  EXPECT_TRUE(samples.contains(
      "__name__=muster_rank_loss;cluster=a;rank=1;run=r;zone=1;"));
  EXPECT_EQ(samples.size(), kRunMetrics + 2 * kRankMetrics);
}

TEST(EncodeRequestTest, EndsTheSeriesThatThereWere) {
  auto measures = MeasuresOf(7, 2, 2);
  measures.samples.reset();
  const SeriesKeys before = {{size_t{20}, -1}};
  const std::vector<Step> steps = {StepAt(1000, &measures),
                                   StepAt(1050, nullptr)};
  const Samples samples = Decode(EncodeRequest("r", {}, steps, before));
  // Of the three about samples only the one that was there before has ended.
  EXPECT_EQ(samples.size(), kRunMetrics - 2);
  EXPECT_THAT(samples.at("__name__=muster_step;run=r;"),
              ElementsAre(Pair(1000, Bits(7)),
                          Pair(1050, uint64_t{0x7ff0000000000002})));
  EXPECT_THAT(samples.at("__name__=muster_samples_undrawn_share;run=r;"),
              ElementsAre(Pair(1050, uint64_t{0x7ff0000000000002})));
}

TEST(MakeStepTest, LeavesOutWhatIsAbsentOrNotFinite) {
  consistency::Measures measures;
  measures.loss_mean = std::numeric_limits<double>::infinity();
  const Step step = StepAt(1000, &measures);
  // Time, expected, reporting, step.
  EXPECT_EQ(step.samples(), 4);
}

TEST(MakeStepTest, HasNoRanksAboveTheLimit) {
  const auto measures = MeasuresOf(7, 3, 3);
  EXPECT_TRUE(StepAt(1000, &measures, 2).ranks.empty());
  EXPECT_EQ(StepAt(1000, &measures, 3).ranks.size(), 3u);
}

// What is scraped and what is written agree in name and value.
TEST(MakeStepTest, SaysWhatMetricsSay) {
  const runs::RunSnapshot run = HandBuiltRun("r");
  exposition::Scrape scrape;
  scrape.runs = {Shared(run)};
  std::map<std::string, double> scraped;
  for (const auto& family : exposition::BuildFamilies(scrape)) {
    for (const auto& metric : family.metric) {
      if (family.type == prometheus::MetricType::Gauge &&
          metric.label.size() == 1 && metric.label[0].name == "run") {
        scraped[family.name] = metric.gauge.value;
      }
    }
  }
  const Step step =
      MakeStep({1, 1}, run.newest_time, run.newest.get(), /*max_ranks=*/0);
  for (size_t i = 0; i < kRunMetrics; ++i) {
    ASSERT_TRUE(scraped.contains(kRunMetricNames[i])) << kRunMetricNames[i];
    EXPECT_EQ(step.values[i], scraped[kRunMetricNames[i]])
        << kRunMetricNames[i];
    scraped.erase(kRunMetricNames[i]);
  }
  // What the run is now, and no number of its newest frame.
  for (const char* state : {"muster_ranks_connected", "muster_run_ended"}) {
    scraped.erase(state);
  }
  EXPECT_TRUE(scraped.empty()) << "not written: " << scraped.begin()->first;
}

}  // namespace
}  // namespace muster::sinks::remote_write
