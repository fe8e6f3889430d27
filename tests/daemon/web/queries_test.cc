#include "daemon/web/queries.h"

#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/web/hand_built_source.h"

namespace muster::web {
namespace {

using muster::testing::FiringOutlier;
using muster::testing::HandBuiltRun;
using muster::testing::MeasuresOf;
using muster::testing::SourceFrom;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::ListStepsRequest StepsOf(const std::string& run) {
  v1::ListStepsRequest request;
  request.set_run(run);
  return request;
}

std::string MessageOf(const absl::Status& status) {
  return std::string(status.message());
}

// Little-endian half precision: 1.0 is 0x3C00.
std::string Sketch(std::initializer_list<uint16_t> halves) {
  std::string bytes;
  for (const uint16_t half : halves) {
    bytes.push_back(static_cast<char>(half & 0xFF));
    bytes.push_back(static_cast<char>(half >> 8));
  }
  return bytes;
}

TEST(QueriesTest, ListsRunsWithTheirNumbers) {
  const auto response = ListRuns(SourceFrom({HandBuiltRun("r")}));
  EXPECT_EQ(response.daemon_version(), "0.1.0");
  ASSERT_EQ(response.runs_size(), 1);
  const v1::Run& run = response.runs(0);
  EXPECT_EQ(run.run(), "r");
  EXPECT_EQ(run.state(), v1::LIVE);
  EXPECT_EQ(run.attempt(), 1u);
  EXPECT_EQ(run.world_size(), 3u);
  EXPECT_EQ(run.ranks_connected(), 3u);
  EXPECT_EQ(run.frames_complete(), 1u);
  EXPECT_EQ(run.frames_partial(), 1u);
  EXPECT_EQ(run.alerts_firing(), 1u);
  EXPECT_EQ(run.newest().step(), 412u);
  EXPECT_EQ(run.newest_unix_nanos(), 1700000000500000000);
  EXPECT_EQ(run.reports_dropped(), 5u);  // 3 by clients, 2 late
  ASSERT_EQ(run.attempts_size(), 1);
  EXPECT_EQ(run.attempts(0).cause(), "start");
  EXPECT_EQ(run.attempts(0).frames(), 2u);
}

TEST(QueriesTest, OnlyRanksOfTheCurrentAttemptCountAsConnected) {
  runs::RunSnapshot run = HandBuiltRun("r");
  run.attempt = 2;
  run.sources[0].attempt = 2;
  run.sources[1].attempt = 0;  // has said Hello only
  run.sources[2].attempt = 1;
  EXPECT_EQ(ListRuns(SourceFrom({run})).runs(0).ranks_connected(), 2u);
  run.sources[0].connected = false;
  run.sources[1].departed = true;
  EXPECT_EQ(ListRuns(SourceFrom({run})).runs(0).ranks_connected(), 0u);
}

TEST(QueriesTest, StepsCarryEachNumber) {
  auto request = StepsOf("r");
  request.set_from(412);
  request.set_with_ranks(true);
  const auto response = ListSteps(SourceFrom({HandBuiltRun("r")}), request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->steps_size(), 1);
  const v1::Step& step = response->steps(0);
  EXPECT_EQ(step.ranks_expected(), 3u);
  EXPECT_EQ(step.ranks_reporting(), 3u);
  EXPECT_EQ(step.loss_mean(), 2.25);
  EXPECT_EQ(step.loss_stddev(), 0.125);
  EXPECT_EQ(step.loss_range(), 0.5);
  EXPECT_EQ(step.loss_cv(), 0.125 / 2.25);
  EXPECT_EQ(step.gradient_norm_mean(), 2);
  EXPECT_EQ(step.gradient_norm_stddev(), 0.75);
  EXPECT_EQ(step.gradient_norm_range(), 2);
  EXPECT_EQ(step.gradient_norm_cv(), 0.375);
  EXPECT_EQ(step.gradient_cosine_mean(), 0.625);
  EXPECT_EQ(step.gradient_cosine_min(), 0.5);
  EXPECT_EQ(step.gradient_cosine_expected(), 0.5625);
  EXPECT_EQ(step.gradient_noise_scale(), 96);
  EXPECT_EQ(step.step_cosine(), 0.875);
  EXPECT_EQ(step.directions(), 3u);
  ASSERT_EQ(step.ranks_size(), 3);
  EXPECT_EQ(step.ranks(2).rank(), 2u);
  EXPECT_EQ(step.ranks(2).loss(), 2.5);
  EXPECT_EQ(step.ranks(2).weight(), 32);
  EXPECT_EQ(step.ranks(2).gradient_norm(), 3);
  EXPECT_EQ(step.ranks(2).gradient_cosine(), 0.75);
  EXPECT_FALSE(step.ranks(2).has_divergence());
  EXPECT_EQ(step.ranks(2).step_duration_seconds(), 0.25);
  EXPECT_EQ(step.ranks(2).compute_seconds(), 0.125);
  EXPECT_EQ(step.replica_values(), 2u);
  EXPECT_EQ(step.replica_spread(), 0.0625);
  ASSERT_EQ(step.replica_groups_size(), 1);
  EXPECT_EQ(step.replica_groups(0), 3u);
  EXPECT_EQ(step.local_distance_mean(), 1.25);
  EXPECT_EQ(step.consensus_distance(), 1.5);
  EXPECT_EQ(step.consensus_error(), 0.125);
  const v1::Samples& samples = step.samples();
  EXPECT_EQ(samples.epoch(), 4u);
  EXPECT_FALSE(samples.closed());
  EXPECT_FALSE(samples.batches());
  EXPECT_EQ(samples.distinct(), 1000);
  EXPECT_EQ(samples.distinct_error(), 32);
  EXPECT_EQ(samples.shared_share(), 0.375);
  EXPECT_EQ(samples.shared_error(), 0.015625);
  EXPECT_EQ(samples.repeat_share(), 0.25);
  EXPECT_EQ(samples.repeat_error(), 0.03125);
  EXPECT_EQ(samples.undrawn_share(), 0.6875);
  EXPECT_EQ(samples.undrawn_error(), 0.01);
  EXPECT_FALSE(step.ranks(1).replica_differs());
  EXPECT_TRUE(step.ranks(2).replica_differs());
  EXPECT_EQ(step.ranks(2).replica_distance(), 0.5);
  EXPECT_EQ(step.ranks(2).local_distance(), 3);
  EXPECT_EQ(step.ranks(2).sample_shared_share(), 0.5);
  EXPECT_EQ(step.ranks(2).sample_repeat_share(), 0.125);
}

TEST(QueriesTest, AbsentAndNonFiniteNumbersAreLeftOut) {
  runs::RunSnapshot run = HandBuiltRun("r");
  auto measures = MeasuresOf(413, 1, 3);
  measures.loss_mean = std::numeric_limits<double>::quiet_NaN();
  measures.loss->mean = 0;  // no coefficient of variation
  measures.gradient_norm.reset();
  measures.cosine_mean.reset();
  run.newest = std::make_shared<const consistency::Measures>(measures);
  const auto response = ListRuns(SourceFrom({run}));
  const v1::Step& step = response.runs(0).newest();
  EXPECT_FALSE(step.has_loss_mean());
  EXPECT_TRUE(step.has_loss_stddev());
  EXPECT_FALSE(step.has_loss_cv());
  EXPECT_FALSE(step.has_gradient_norm_mean());
  EXPECT_FALSE(step.has_gradient_cosine_mean());
}

TEST(QueriesTest, StepsAreTheNewestInRangeOldestFirst) {
  runs::RunSnapshot run = HandBuiltRun("r");
  auto store = std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  for (uint64_t step = 1; step <= 200; ++step) {
    store->Append(
        {std::make_shared<const consistency::Measures>(MeasuresOf(step, 1, 1)),
         nullptr, step == 150});
  }
  run.store = store;
  const Source source = SourceFrom({run});
  auto request = StepsOf("r");
  auto response = ListSteps(source, request);
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->steps_size(), 100);
  EXPECT_EQ(response->steps(0).step(), 101u);
  EXPECT_EQ(response->steps(0).ranks_size(), 0);
  EXPECT_TRUE(response->steps(49).superseded());
  EXPECT_FALSE(response->steps(48).superseded());

  request.set_from(10);
  request.set_to(20);
  request.set_limit(3);
  response = ListSteps(source, request);
  ASSERT_TRUE(response.ok());
  ASSERT_EQ(response->steps_size(), 3);
  EXPECT_EQ(response->steps(0).step(), 18u);
  EXPECT_EQ(response->steps(2).step(), 20u);
}

TEST(QueriesTest, RanksHaveTheirStateAndNewestValues) {
  runs::RunSnapshot run = HandBuiltRun("r");
  auto store = std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  auto old = MeasuresOf(411, 3, 3);
  old.ranks[2].loss = 9;
  old.ranks[0].loss = 8;
  store->Append(
      {std::make_shared<const consistency::Measures>(old), nullptr, false});
  store->Append(
      {std::make_shared<const consistency::Measures>(MeasuresOf(412, 2, 3)),
       nullptr, false});
  run.store = store;
  run.sources.push_back(muster::testing::SourceOf(3, 4, 0));
  run.sources[3].has_reported = false;
  run.sources[3].attempt = 0;

  v1::ListRanksRequest request;
  request.set_run("r");
  const auto response = ListRanks(SourceFrom({run}), request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->ranks_size(), 4);
  const v1::Rank& first = response->ranks(0);
  EXPECT_EQ(first.values().loss(), 2);  // of 412, not of 411
  EXPECT_EQ(first.incarnation(), 0xABC0u);
  EXPECT_EQ(first.host(), "node-0");
  EXPECT_EQ(first.pid(), 1000u);
  EXPECT_EQ(first.last_step(), 413u);
  EXPECT_EQ(first.lag_steps(), 0u);
  EXPECT_TRUE(first.connected());
  ASSERT_EQ(first.facts_size(), 2);
  EXPECT_EQ(first.facts(1).name(), "sampler_seed");
  EXPECT_EQ(first.facts(1).value(), "7");
  EXPECT_TRUE(first.facts(0).shown_only());
  EXPECT_EQ(response->ranks(2).values().loss(), 9);
  EXPECT_EQ(response->ranks(2).lag_steps(), 1u);
  EXPECT_FALSE(response->ranks(3).has_last_step());
  EXPECT_FALSE(response->ranks(3).has_values());
}

TEST(QueriesTest, MatrixHoldsTheCosinesOfAllPairs) {
  runs::RunSnapshot run = HandBuiltRun("r");
  auto frame = std::make_shared<frames::Frame>();
  frame->attempt = 1;
  frame->step = 412;
  frame->world_size = 3;
  // Directions (1, 0), (1, 1) and (−1, 0).
  const std::string sketches[] = {Sketch({0x3C00, 0}), Sketch({0x3C00, 0x3C00}),
                                  Sketch({0xBC00, 0})};
  for (uint32_t rank = 0; rank < 3; ++rank) {
    frames::Report report;
    report.rank = rank;
    report.step = 412;
    report.gradient_norm = 1;
    report.sketch = sketches[rank];
    frame->reports.push_back(report);
  }
  auto store = std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  store->Append({run.newest, frame, false});
  run.store = store;
  v1::GetMatrixRequest request;
  request.set_run("r");
  const Source source = SourceFrom({run});
  const auto matrix = GetMatrix(source, request);
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  EXPECT_EQ(matrix->step(), 412u);
  EXPECT_THAT(matrix->ranks(), ElementsAre(0, 1, 2));
  ASSERT_EQ(matrix->cosines_size(), 9);
  const float diagonal = std::sqrt(0.5f);
  const float expected[] = {1,         diagonal, -1,        diagonal, 1,
                            -diagonal, -1,       -diagonal, 1};
  for (int i = 0; i < 9; ++i) {
    EXPECT_NEAR(matrix->cosines(i), expected[i], 1e-6) << i;
  }
  request.set_step(7);
  EXPECT_THAT(MessageOf(GetMatrix(source, request).status()),
              HasSubstr("step 7 is not, or no longer, in memory"));
}

TEST(QueriesTest, MatrixOfManyRanksHoldsThoseThatAgreeLeast) {
  runs::RunSnapshot run = HandBuiltRun("r");
  auto frame = std::make_shared<frames::Frame>();
  frame->attempt = 1;
  frame->step = 412;
  frame->world_size = 70;
  // (1, 0), but (0, 1) for ranks 3 and 69.
  for (uint32_t rank = 0; rank < 70; ++rank) {
    frames::Report report;
    report.rank = rank;
    report.step = 412;
    report.gradient_norm = 1;
    const bool off = rank == 3 || rank == 69;
    report.sketch = off ? Sketch({0, 0x3C00}) : Sketch({0x3C00, 0});
    frame->reports.push_back(report);
  }
  auto store = std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  store->Append({run.newest, frame, false});
  run.store = store;
  v1::GetMatrixRequest request;
  request.set_run("r");
  const auto matrix = GetMatrix(SourceFrom({run}), request);
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  // Of those that agree equally well, the lower ones.
  ASSERT_EQ(matrix->ranks_size(), 64);
  EXPECT_EQ(matrix->ranks(62), 62u);
  EXPECT_EQ(matrix->ranks(63), 69u);
  ASSERT_EQ(matrix->cosines_size(), 64 * 64);
  EXPECT_NEAR(matrix->cosines(3 * 64 + 63), 1, 1e-6);
  EXPECT_NEAR(matrix->cosines(63 * 64 + 3), 1, 1e-6);
  EXPECT_NEAR(matrix->cosines(63 * 64 + 62), 0, 1e-6);
  EXPECT_NEAR(matrix->cosines(63 * 64 + 63), 1, 1e-6);
}

TEST(QueriesTest, AlertsComeFiringFirstThenNewestChange) {
  runs::RunSnapshot a = HandBuiltRun("a");
  alert::Alert resolved = FiringOutlier(1);
  resolved.id = 2;
  resolved.state = alert::State::kResolved;
  resolved.changed += absl::Hours(1);
  a.alerts.push_back(resolved);
  runs::RunSnapshot b = HandBuiltRun("b");
  b.alerts[0].id = 7;
  b.alerts[0].changed += absl::Minutes(1);
  const Source source = SourceFrom({a, b});

  v1::ListAlertsRequest request;
  auto response = ListAlerts(source, request);
  ASSERT_TRUE(response.ok());
  ASSERT_EQ(response->alerts_size(), 3);
  EXPECT_EQ(response->alerts(0).id(), 7u);
  EXPECT_EQ(response->alerts(1).id(), 1u);
  EXPECT_EQ(response->alerts(2).id(), 2u);
  EXPECT_EQ(response->alerts(1).kind(), "RankOutlier");
  EXPECT_THAT(response->alerts(1).ranks(), ElementsAre(2));
  // What to look at first, once as a paragraph and once by sentences.
  const v1::Alert& alert = response->alerts(1);
  EXPECT_GE(alert.checks_size(), 4);
  EXPECT_EQ(alert.checks(0),
            "Loss: the rank's data, labels, augmentation, dropout or module "
            "mode.");
  EXPECT_EQ(absl::StrJoin(alert.checks(), " "), alert.first_check());

  request.set_run("a");
  request.set_firing_only(true);
  response = ListAlerts(source, request);
  ASSERT_TRUE(response.ok());
  ASSERT_EQ(response->alerts_size(), 1);
  EXPECT_EQ(response->alerts(0).run(), "a");
}

TEST(QueriesTest, ErrorsNameWhatIsWrong) {
  const Source source = SourceFrom({HandBuiltRun("r")});
  auto request = StepsOf("none");
  EXPECT_EQ(ListSteps(source, request).status(),
            absl::NotFoundError("no run 'none'"));
  request = StepsOf("r");
  request.set_limit(4097);
  EXPECT_EQ(ListSteps(source, request).status(),
            absl::InvalidArgumentError("limit is 4097; allowed: 0 … 4096"));
  request.set_limit(0);
  request.set_from(9);
  request.set_to(8);
  EXPECT_EQ(ListSteps(source, request).status(),
            absl::InvalidArgumentError("from is 9; allowed: at most to, 8"));
  v1::ListAlertsRequest alerts;
  alerts.set_run("none");
  EXPECT_TRUE(absl::IsNotFound(ListAlerts(source, alerts).status()));
  v1::ListRanksRequest ranks;
  EXPECT_TRUE(absl::IsNotFound(ListRanks(source, ranks).status()));
}

}  // namespace
}  // namespace muster::web
