// Frames, events and checkpoints with something in every field.
#ifndef MUSTER_TESTS_DAEMON_HISTORY_SAMPLES_H_
#define MUSTER_TESTS_DAEMON_HISTORY_SAMPLES_H_

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/consistency/measure.h"
#include "daemon/history/record.h"
#include "tests/testing/frame_builder.h"

namespace muster::history {

inline std::shared_ptr<const frames::FactSet> SampleFacts(int seed) {
  auto facts = std::make_shared<frames::FactSet>();
  (*facts)["sampler_seed"] = {std::to_string(seed), false};
  (*facts)["rng_seed"] = {"rank\0's" + std::to_string(seed), true};
  return facts;
}

// Ranks 0, 2 and 3 of 4, unequal in all they can be.
inline Judged SampleFrame(uint64_t step) {
  std::vector<frames::Report> reports;
  for (const uint32_t rank : {0, 2, 3}) {
    std::vector<double> gradient(64);
    for (size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] = std::sin(static_cast<double>(i + rank * step));
    }
    frames::Report report = testing::MakeReport(
        rank, step, 1.25 + 0.1 * rank + static_cast<double>(step), gradient);
    report.sequence = 1000 * rank + step;
    report.facts = SampleFacts(rank / 2);
    report.wall_time_unix_nanos = 1'700'000'000'000'000'000 - rank;
    reports.push_back(std::move(report));
  }
  reports[0].weight = 32;
  reports[1].loss = std::nan("");
  reports[1].nonfinite_count = 17;
  reports[1].step_duration_seconds = 0.125;
  reports[1].learning_rate = 3e-4;
  reports[1].replica_fingerprint = 0;
  reports[1].multiple_backward = true;
  reports[2].replica_fingerprint = ~uint64_t{0};
  reports[2].sample_ids = {5, 3, ~uint64_t{0}, 3};
  reports[2].gradient_scale = 65536;
  reports[0].zero_gradient_tensors = 0;
  reports[1].zero_gradient_tensors = 7;
  reports[0].epoch = 0;
  reports[2].epoch = 3;
  reports[2].sample_limit = uint64_t{1} << 63;
  reports[1].sample_ids_are_batches = true;
  reports[1].replica_groups = {1, ~uint64_t{0}};
  reports[2].local_distance = 0.5;
  reports[1].compute_seconds = 0.0625;
  auto frame = std::make_shared<frames::Frame>(
      testing::MakeFrame(step, std::move(reports), 4, 2));
  frame->reason = frames::CloseReason::kTimeout;
  frame->first_arrival = absl::Nanoseconds(1'000'000'001) * (step + 1);
  frame->last_arrival = frame->first_arrival + absl::Nanoseconds(7);
  frame->closed_at = frame->last_arrival + absl::Seconds(30);
  consistency::Baseline baseline;
  auto measures =
      std::make_shared<consistency::Measures>(baseline.Measure(*frame));
  measures->lookalikes = {{0, 3}, {2, 3}};
  measures->noise_scale = 12.5;
  measures->step_cosine = -0.0;
  measures->ranks[1].arrival_delay_seconds = 0.25;
  measures->ranks[2].compute_seconds = 0.75;
  measures->replica_ranks = 2;
  measures->replica_majority = true;
  measures->replica_groups = {0, 31};
  measures->replica_spread = 1e-3;
  measures->local_distance_mean = 0.5;
  measures->consensus_distance = 0.25;
  measures->consensus_error = 0.125;
  measures->samples = {.epoch = 3,
                       .closed = true,
                       .batches = true,
                       .with_replacement = true,
                       .shuffled = true,
                       .kept = 100,
                       .distinct = 200,
                       .distinct_error = 1,
                       .shared_share = 0.25,
                       .shared_error = 0.0625,
                       .repeat_share = 0.5,
                       .repeat_error = 0.03125,
                       .undrawn_share = 0.75,
                       .undrawn_error = 0.015625};
  measures->ranks[0].replica_differs = true;
  measures->ranks[0].replica_distance = 0.0;
  measures->ranks[1].samples = {17, 0.5, 0.0, true};
  return {std::move(frame), std::move(measures)};
}

inline frames::SourceInfo SampleSource(uint32_t rank) {
  return {.rank = rank,
          .world_size = 4,
          .incarnation = ~uint64_t{0} - rank,
          .sketch = {1, 64, 99},
          .parameter_count = 1'000'000,
          .host = "node-3",
          .pid = 4242,
          .client_version = "0.1.0"};
}

inline alert::Alert SampleAlert(uint64_t id, alert::State state) {
  alert::Alert alert;
  alert.id = id;
  alert.state = state;
  alert.finding.kind = detect::Kind::kRankOutlier;
  alert.finding.subject = "loss";
  alert.finding.ranks = {2, 300};
  alert.finding.attempt = 2;
  alert.finding.first_step = 10;
  alert.finding.last_step = 12;
  alert.finding.value = 0.1;
  alert.finding.expected = std::nan("");
  alert.finding.evidence = "Rank 2's loss is \xC3\xA9 high.";
  alert.severity = detect::Severity::kCritical;
  alert.evidence = {{"loss", 0.1, std::nan(""), 10, 11, "Too high.", false},
                    {"direction", 0.2, 0.5, 11, 12, "Elsewhere.", true}};
  alert.evidence_omitted = 3;
  alert.explained_by = 5;
  alert.silent = true;
  alert.changed = absl::FromUnixNanos(1'700'000'000'123'456'789);
  alert.fired =
      state == alert::State::kPending ? absl::InfinitePast() : alert.changed;
  return alert;
}

// Stands after two ranks' reports of steps 5 and 6, of which 6 is open.
inline std::shared_ptr<Checkpoint> SampleCheckpoint(uint64_t next_position) {
  auto checkpoint = std::make_shared<Checkpoint>();
  checkpoint->next_position = next_position;
  checkpoint->now = absl::Seconds(100);
  checkpoint->wall = absl::FromUnixSeconds(1'700'000'100);
  checkpoint->sketch = frames::SketchSpec{1, 64, 99};
  frames::FrameAssembler assembler({});
  for (const uint32_t rank : {0, 1}) {
    frames::SourceInfo info = SampleSource(rank);
    info.world_size = 2;
    assembler.Register(info, SampleFacts(rank), absl::Seconds(1));
    for (const uint64_t step : {5, 6}) {
      if (rank == 1 && step == 6) continue;
      frames::Report report = testing::MakeReport(rank, step, 2.5);
      assembler.Add(info.incarnation, report, absl::Seconds(90 + step));
    }
  }
  checkpoint->assembler = assembler.Save();
  assembler.VisitOpen([&](uint64_t incarnation, const frames::Report& report) {
    checkpoint->open_reports.push_back(
        std::make_shared<const OpenReport>(OpenReport{incarnation, report}));
  });
  checkpoint->alerts.next_id = 9;
  checkpoint->alerts.alive = {SampleAlert(7, alert::State::kFiring),
                              SampleAlert(8, alert::State::kPending)};
  checkpoint->alerts.lives = {{3, 2, 12, 0}, {1, 2, 11, 4}};
  checkpoint->alerts.fired_total[1] = 5;
  checkpoint->alerts.overflow_count = 2;
  return checkpoint;
}

}  // namespace muster::history

#endif  // MUSTER_TESTS_DAEMON_HISTORY_SAMPLES_H_
