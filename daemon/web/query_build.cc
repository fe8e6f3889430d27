#include "daemon/web/query_build.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "daemon/runs/lag.h"

namespace muster::web {
namespace {

using consistency::Measures;
using consistency::RankMeasures;
using SourceState = frames::FrameAssembler::SourceState;

// Calls one of a message's setters where there is a number to set.
template <typename Message>
void Set(Message& message, void (Message::*setter)(double),
         std::optional<double> value) {
  if (value && std::isfinite(*value)) (message.*setter)(*value);
}

v1::RunState StateOf(const runs::RunSnapshot& run) {
  switch (run.state) {
    case runs::RunState::kLive:
      return v1::LIVE;
    case runs::RunState::kSilent:
      return v1::SILENT;
    case runs::RunState::kEnded:
      return v1::ENDED;
  }
  return v1::RUN_STATE_UNSPECIFIED;
}

const char* CauseName(frames::AttemptCause cause) {
  switch (cause) {
    case frames::AttemptCause::kStart:
      return "start";
    case frames::AttemptCause::kRestart:
      return "restart";
    case frames::AttemptCause::kRewind:
      return "rewind";
    case frames::AttemptCause::kResize:
      return "resize";
  }
  return "";
}

// Those that take part in the current attempt or are about to.
uint32_t RanksConnected(const runs::RunSnapshot& run) {
  uint32_t connected = 0;
  for (const SourceState& source : run.sources) {
    const bool current = source.attempt == run.attempt || source.attempt == 0;
    if (source.connected && !source.departed && current) ++connected;
  }
  return connected;
}

// Values of each rank in the newest frame that has it.
std::map<uint32_t, const RankMeasures*> NewestValues(
    const runs::RunSnapshot& run,
    const std::vector<runs::FrameStore::Entry>& entries) {
  std::map<uint32_t, const RankMeasures*> values;
  size_t missing = 0;
  for (const SourceState& source : run.sources) {
    values[source.info.rank] = nullptr;
    if (source.has_reported) ++missing;
  }
  for (auto it = entries.rbegin(); it != entries.rend() && missing > 0; ++it) {
    for (const RankMeasures& rank : it->measures->ranks) {
      const auto found = values.find(rank.rank);
      if (found == values.end() || found->second != nullptr) continue;
      found->second = &rank;
      if (missing > 0) --missing;
    }
  }
  return values;
}

void FillRank(const runs::RunSnapshot& run, const SourceState& source,
              std::optional<uint64_t> newest_step, v1::Rank& rank) {
  rank.set_rank(source.info.rank);
  rank.set_incarnation(source.info.incarnation);
  rank.set_host(source.info.host);
  rank.set_pid(source.info.pid);
  rank.set_client_version(source.info.client_version);
  rank.set_attempt(source.attempt);
  rank.set_connected(source.connected);
  rank.set_departed(source.departed);
  if (source.has_reported) rank.set_last_step(source.last_step);
  rank.set_lag_steps(runs::LagSteps(run, source, newest_step).value_or(0));
  rank.set_reports_dropped(source.dropped);
  if (source.facts == nullptr) return;
  for (const auto& [name, fact] : *source.facts) {
    v1::Fact& stated = *rank.add_facts();
    stated.set_name(name);
    stated.set_value(fact.value);
    stated.set_shown_only(fact.shown_only);
  }
}

void FillSamples(const consistency::SampleMeasures& measures,
                 v1::Samples& samples) {
  samples.set_epoch(measures.epoch);
  samples.set_closed(measures.closed);
  samples.set_batches(measures.batches);
  samples.set_distinct(measures.distinct);
  samples.set_distinct_error(measures.distinct_error);
  samples.set_shared_share(measures.shared_share);
  samples.set_shared_error(measures.shared_error);
  samples.set_repeat_share(measures.repeat_share);
  samples.set_repeat_error(measures.repeat_error);
  if (measures.undrawn_share) {
    samples.set_undrawn_share(*measures.undrawn_share);
    samples.set_undrawn_error(measures.undrawn_error);
  }
}

// More rows and columns than these nobody can tell apart.
constexpr size_t kMaxMatrixRanks = 64;

// Indices of the ranks whose sum of cosines to the others is lowest, ascending.
std::vector<size_t> LeastAgreeing(const consistency::CosineMatrix& matrix,
                                  size_t most) {
  const size_t count = matrix.ranks.size();
  std::vector<size_t> indices(count);
  std::iota(indices.begin(), indices.end(), size_t{0});
  if (count <= most) return indices;
  std::vector<double> sums(count, 0);
  for (size_t row = 0; row < count; ++row) {
    for (size_t column = 0; column < count; ++column) {
      sums[row] += matrix.cosines[row * count + column];
    }
  }
  std::stable_sort(indices.begin(), indices.end(),
                   [&](size_t a, size_t b) { return sums[a] < sums[b]; });
  indices.resize(most);
  std::sort(indices.begin(), indices.end());
  return indices;
}

}  // namespace

v1::Run BuildRun(const runs::RunSnapshot& run) {
  v1::Run proto;
  proto.set_run(run.run);
  proto.set_state(StateOf(run));
  proto.set_attempt(run.attempt);
  proto.set_world_size(run.world_size);
  proto.set_ranks_connected(RanksConnected(run));
  proto.set_frames_complete(run.frames_complete);
  proto.set_frames_partial(run.frames_partial);
  proto.set_alerts_firing(std::accumulate(
      run.alerts_firing.begin(), run.alerts_firing.end(), uint64_t{0}));
  if (run.newest != nullptr) {
    *proto.mutable_newest() = BuildStep({run.newest, nullptr, false}, false);
    proto.set_newest_unix_nanos(absl::ToUnixNanos(run.newest_time));
  }
  proto.set_reports_dropped(run.reports_dropped_client + run.reports_late);
  for (const auto& state : run.attempts) {
    v1::Attempt& attempt = *proto.add_attempts();
    attempt.set_attempt(state.attempt);
    attempt.set_world_size(state.world_size);
    attempt.set_first_step(state.first_step);
    attempt.set_last_step(state.last_step);
    attempt.set_frames(state.frames);
    attempt.set_superseded(state.superseded);
    attempt.set_cause(CauseName(state.cause));
  }
  return proto;
}

v1::RankValues BuildRankValues(const RankMeasures& measures) {
  using Values = v1::RankValues;
  Values values;
  values.set_rank(measures.rank);
  Set(values, &Values::set_loss, measures.loss);
  Set(values, &Values::set_weight, measures.weight);
  Set(values, &Values::set_gradient_norm, measures.gradient_norm);
  Set(values, &Values::set_gradient_cosine, measures.gradient_cosine);
  Set(values, &Values::set_divergence, measures.divergence);
  values.set_nonfinite_count(measures.nonfinite_count);
  Set(values, &Values::set_step_duration_seconds,
      measures.step_duration_seconds);
  Set(values, &Values::set_compute_seconds, measures.compute_seconds);
  values.set_replica_differs(measures.replica_differs);
  Set(values, &Values::set_replica_distance, measures.replica_distance);
  Set(values, &Values::set_local_distance, measures.local_distance);
  if (measures.samples) {
    values.set_sample_shared_share(measures.samples->shared_share);
    values.set_sample_repeat_share(measures.samples->repeat_share);
  }
  return values;
}

v1::Step BuildStep(const runs::FrameStore::Entry& entry, bool with_ranks) {
  using Step = v1::Step;
  const Measures& measures = *entry.measures;
  Step step;
  step.set_attempt(measures.attempt);
  step.set_step(measures.step);
  step.set_ranks_expected(measures.ranks_expected);
  step.set_ranks_reporting(measures.ranks_reporting);
  step.set_superseded(entry.superseded);
  if (entry.wall != absl::InfinitePast()) {
    step.set_unix_nanos(absl::ToUnixNanos(entry.wall));
  }
  Set(step, &Step::set_loss_mean, measures.loss_mean);
  if (const auto& loss = measures.loss) {
    Set(step, &Step::set_loss_stddev, loss->stddev);
    Set(step, &Step::set_loss_range, loss->range());
    Set(step, &Step::set_loss_cv, loss->cv());
  }
  if (const auto& norm = measures.gradient_norm) {
    Set(step, &Step::set_gradient_norm_mean, norm->mean);
    Set(step, &Step::set_gradient_norm_stddev, norm->stddev);
    Set(step, &Step::set_gradient_norm_range, norm->range());
    Set(step, &Step::set_gradient_norm_cv, norm->cv());
  }
  Set(step, &Step::set_gradient_cosine_mean, measures.cosine_mean);
  Set(step, &Step::set_gradient_cosine_min, measures.cosine_min);
  Set(step, &Step::set_gradient_cosine_expected, measures.cosine_expected);
  Set(step, &Step::set_gradient_noise_scale, measures.noise_scale);
  step.set_noise_scale_in_batches(measures.noise_scale_in_batches);
  Set(step, &Step::set_step_cosine, measures.step_cosine);
  step.set_directions(measures.directions);
  step.set_replica_values(measures.replica_values);
  Set(step, &Step::set_replica_spread, measures.replica_spread);
  step.mutable_replica_groups()->Add(measures.replica_groups.begin(),
                                     measures.replica_groups.end());
  Set(step, &Step::set_local_distance_mean, measures.local_distance_mean);
  Set(step, &Step::set_consensus_distance, measures.consensus_distance);
  if (step.has_consensus_distance()) {
    step.set_consensus_error(measures.consensus_error);
  }
  if (measures.samples) FillSamples(*measures.samples, *step.mutable_samples());
  if (with_ranks) {
    for (const RankMeasures& rank : measures.ranks) {
      *step.add_ranks() = BuildRankValues(rank);
    }
  }
  return step;
}

v1::ListRanksResponse BuildRanks(const runs::RunSnapshot& run) {
  // Entries own what `values` points to.
  const auto entries = run.store->Range(std::nullopt, std::nullopt, SIZE_MAX);
  const auto values = NewestValues(run, entries);
  const std::optional<uint64_t> newest_step = runs::NewestReportedStep(run);
  v1::ListRanksResponse response;
  for (const SourceState& source : run.sources) {
    v1::Rank& rank = *response.add_ranks();
    FillRank(run, source, newest_step, rank);
    const RankMeasures* measures = values.at(source.info.rank);
    if (measures != nullptr)
      *rank.mutable_values() = BuildRankValues(*measures);
  }
  return response;
}

v1::Matrix BuildMatrix(const frames::Frame& frame) {
  const consistency::CosineMatrix cosines = consistency::PairCosines(frame);
  const std::vector<size_t> shown = LeastAgreeing(cosines, kMaxMatrixRanks);
  v1::Matrix matrix;
  matrix.set_attempt(frame.attempt);
  matrix.set_step(frame.step);
  for (const size_t row : shown) {
    matrix.add_ranks(cosines.ranks[row]);
    for (const size_t column : shown) {
      matrix.add_cosines(cosines.cosines[row * cosines.ranks.size() + column]);
    }
  }
  return matrix;
}

}  // namespace muster::web
