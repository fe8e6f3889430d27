// A run whose every number is chosen by hand, for tests of what reads it.
#ifndef MUSTER_TESTS_DAEMON_HAND_BUILT_RUN_H_
#define MUSTER_TESTS_DAEMON_HAND_BUILT_RUN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "daemon/runs/snapshot.h"

namespace muster::testing {

// Values of rank r: loss 2 + r/4, norm 1 + r, cosine 0.5 + r/8.
inline consistency::RankMeasures RankValuesOf(uint32_t rank) {
  consistency::RankMeasures values;
  values.rank = rank;
  values.loss = 2 + rank / 4.0;
  values.weight = 32;
  values.gradient_norm = 1.0 + rank;
  values.gradient_cosine = 0.5 + rank / 8.0;
  values.step_duration_seconds = 0.25;
  values.compute_seconds = 0.125;
  values.replica_differs = rank == 2;
  values.replica_distance = rank / 4.0;
  values.local_distance = 1.0 + rank;
  values.samples = {
      .drawn = 300, .shared_share = 0.5, .repeat_share = rank / 16.0};
  return values;
}

// `count` of `expected` ranks at `step`. Loss: mean, stddev, range as given.
inline consistency::Measures MeasuresOf(uint64_t step, uint32_t count,
                                        uint32_t expected) {
  consistency::Measures measures;
  measures.attempt = 1;
  measures.step = step;
  measures.ranks_expected = expected;
  measures.ranks_reporting = count;
  measures.loss_mean = 2.25;
  measures.loss = {count, 2.25, 0.125, 2, 2.5};
  measures.gradient_norm = {count, 2, 0.75, 1, 3};
  measures.directions = count;
  measures.cosine_mean = 0.625;
  measures.cosine_min = 0.5;
  measures.cosine_expected = 0.5625;
  measures.noise_scale = 96;
  measures.step_cosine = 0.875;
  measures.replica_values = 2;
  measures.replica_ranks = count;
  measures.replica_groups = {3};
  measures.replica_spread = 0.0625;
  measures.local_distance_mean = 1.25;
  measures.consensus_distance = 1.5;
  measures.consensus_error = 0.125;
  consistency::SampleMeasures& samples = measures.samples.emplace();
  samples.epoch = 4;
  samples.kept = 500;
  samples.distinct = 1000;
  samples.distinct_error = 32;
  samples.shared_share = 0.375;
  samples.shared_error = 0.015625;
  samples.repeat_share = 0.25;
  samples.repeat_error = 0.03125;
  samples.undrawn_share = 0.6875;
  samples.undrawn_error = 0.01;
  for (uint32_t rank = 0; rank < count; ++rank) {
    measures.ranks.push_back(RankValuesOf(rank));
  }
  return measures;
}

// A connected rank that has reported `last_step`.
inline frames::FrameAssembler::SourceState SourceOf(uint32_t rank,
                                                    uint32_t world_size,
                                                    uint64_t last_step) {
  frames::FrameAssembler::SourceState source;
  source.info.rank = rank;
  source.info.world_size = world_size;
  source.info.incarnation = 0xABC0 + rank;
  source.info.host = "node-" + std::to_string(rank / 2);
  source.info.pid = 1000 + rank;
  source.info.client_version = "0.1.0";
  source.facts = std::make_shared<const frames::FactSet>(
      frames::FactSet{{"sampler_seed", {"7", false}}, {"rng", {"1", true}}});
  source.attempt = 1;
  source.connected = true;
  source.has_reported = true;
  source.last_step = last_step;
  return source;
}

inline alert::Alert FiringOutlier(uint32_t rank) {
  alert::Alert alert;
  alert.id = 1;
  alert.state = alert::State::kFiring;
  alert.finding.kind = detect::Kind::kRankOutlier;
  alert.finding.subject = "loss";
  alert.finding.ranks = {rank};
  alert.finding.attempt = 1;
  alert.finding.first_step = 400;
  alert.finding.last_step = 412;
  alert.finding.value = 3;
  alert.finding.expected = 2;
  alert.finding.evidence = "The loss of rank 2 is above the others'.";
  alert.silent = true;
  alert.changed = absl::FromUnixSeconds(1700000100);
  alert.fired = absl::FromUnixSeconds(1700000090);
  return alert;
}

// Three ranks, all connected, live at step 412 after one partial frame; rank 2
// is a step behind and has a firing alert.
inline runs::RunSnapshot HandBuiltRun(const std::string& name) {
  runs::RunSnapshot run;
  run.run = name;
  run.state = runs::RunState::kLive;
  run.attempt = 1;
  run.world_size = 3;
  frames::FrameAssembler::AttemptState attempt;
  attempt.attempt = 1;
  attempt.world_size = 3;
  attempt.first_step = 411;
  attempt.last_step = 412;
  attempt.frames = 2;
  run.attempts = {attempt};
  run.sources = {SourceOf(0, 3, 413), SourceOf(1, 3, 413), SourceOf(2, 3, 412)};
  run.newest =
      std::make_shared<const consistency::Measures>(MeasuresOf(412, 3, 3));
  run.newest_time = absl::FromUnixMillis(1700000000500);
  run.alerts = {FiringOutlier(2)};
  run.alerts_firing[static_cast<size_t>(detect::Kind::kRankOutlier)] = 1;
  run.alerts_total[static_cast<size_t>(detect::Kind::kRankOutlier)] = 4;
  run.frames_complete = 1;
  run.frames_partial = 1;
  run.reports_received = 8;
  run.reports_late = 2;
  run.reports_dropped_client = 3;
  run.step_loss_stddev.Observe(0.125);
  run.step_loss_stddev.Observe(0.25);

  auto store = std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  store->Append(
      {std::make_shared<const consistency::Measures>(MeasuresOf(411, 2, 3)),
       nullptr, false});
  store->Append({run.newest, nullptr, false});
  run.store = std::move(store);
  return run;
}

inline std::shared_ptr<const runs::RunSnapshot> Shared(runs::RunSnapshot run) {
  return std::make_shared<const runs::RunSnapshot>(std::move(run));
}

}  // namespace muster::testing

#endif  // MUSTER_TESTS_DAEMON_HAND_BUILT_RUN_H_
