// Field by field equality of what is stored; NaN equals NaN.
#ifndef MUSTER_TESTS_DAEMON_HISTORY_COMPARE_H_
#define MUSTER_TESTS_DAEMON_HISTORY_COMPARE_H_

#include <bit>
#include <optional>
#include <string>

#include "daemon/alert/alert.h"
#include "daemon/history/record.h"
#include "gtest/gtest.h"

namespace muster::history {

inline uint64_t Bits(double value) {
  return value != value ? 0 : std::bit_cast<uint64_t>(value);
}
inline std::optional<uint64_t> Bits(const std::optional<double>& value) {
  if (!value) return std::nullopt;
  return Bits(*value);
}

inline void ExpectSame(const frames::Report& a, const frames::Report& b) {
  EXPECT_EQ(a.rank, b.rank);
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(Bits(a.loss), Bits(b.loss));
  EXPECT_EQ(Bits(a.weight), Bits(b.weight));
  EXPECT_EQ(Bits(a.gradient_norm), Bits(b.gradient_norm));
  EXPECT_EQ(a.sketch, b.sketch);
  EXPECT_EQ(a.nonfinite_count, b.nonfinite_count);
  EXPECT_EQ(a.elements_observed, b.elements_observed);
  EXPECT_EQ(a.wall_time_unix_nanos, b.wall_time_unix_nanos);
  EXPECT_EQ(Bits(a.step_duration_seconds), Bits(b.step_duration_seconds));
  EXPECT_EQ(Bits(a.compute_seconds), Bits(b.compute_seconds));
  EXPECT_EQ(Bits(a.learning_rate), Bits(b.learning_rate));
  EXPECT_EQ(a.replica_fingerprint, b.replica_fingerprint);
  EXPECT_EQ(a.sample_ids, b.sample_ids);
  EXPECT_EQ(a.multiple_backward, b.multiple_backward);
  EXPECT_EQ(Bits(a.gradient_scale), Bits(b.gradient_scale));
  EXPECT_EQ(a.zero_gradient_tensors, b.zero_gradient_tensors);
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.sample_limit, b.sample_limit);
  EXPECT_EQ(a.sample_ids_are_batches, b.sample_ids_are_batches);
  EXPECT_EQ(a.replica_groups, b.replica_groups);
  EXPECT_EQ(Bits(a.local_distance), Bits(b.local_distance));
  ASSERT_NE(b.facts, nullptr);
  EXPECT_EQ(*a.facts, *b.facts);
}

inline void ExpectSame(const std::optional<consistency::Spread>& a,
                       const std::optional<consistency::Spread>& b) {
  ASSERT_EQ(a.has_value(), b.has_value());
  if (!a) return;
  EXPECT_EQ(a->count, b->count);
  EXPECT_EQ(Bits(a->mean), Bits(b->mean));
  EXPECT_EQ(Bits(a->stddev), Bits(b->stddev));
  EXPECT_EQ(Bits(a->min), Bits(b->min));
  EXPECT_EQ(Bits(a->max), Bits(b->max));
}

inline void ExpectSame(const std::optional<consistency::SampleMeasures>& a,
                       const std::optional<consistency::SampleMeasures>& b) {
  ASSERT_EQ(a.has_value(), b.has_value());
  if (!a) return;
  EXPECT_EQ(a->epoch, b->epoch);
  EXPECT_EQ(a->closed, b->closed);
  EXPECT_EQ(a->batches, b->batches);
  EXPECT_EQ(a->with_replacement, b->with_replacement);
  EXPECT_EQ(a->shuffled, b->shuffled);
  EXPECT_EQ(a->kept, b->kept);
  EXPECT_EQ(a->distinct, b->distinct);
  EXPECT_EQ(a->distinct_error, b->distinct_error);
  EXPECT_EQ(a->shared_share, b->shared_share);
  EXPECT_EQ(a->shared_error, b->shared_error);
  EXPECT_EQ(a->repeat_share, b->repeat_share);
  EXPECT_EQ(a->repeat_error, b->repeat_error);
  EXPECT_EQ(a->undrawn_share, b->undrawn_share);
  EXPECT_EQ(a->undrawn_error, b->undrawn_error);
}

inline void ExpectSame(const std::optional<consistency::RankSamples>& a,
                       const std::optional<consistency::RankSamples>& b) {
  ASSERT_EQ(a.has_value(), b.has_value());
  if (!a) return;
  EXPECT_EQ(a->drawn, b->drawn);
  EXPECT_EQ(a->shared_share, b->shared_share);
  EXPECT_EQ(a->repeat_share, b->repeat_share);
  EXPECT_EQ(a->same_order, b->same_order);
}

inline void ExpectSame(const consistency::Measures& a,
                       const consistency::Measures& b) {
  EXPECT_EQ(a.attempt, b.attempt);
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.ranks_expected, b.ranks_expected);
  EXPECT_EQ(a.ranks_reporting, b.ranks_reporting);
  EXPECT_EQ(Bits(a.loss_mean), Bits(b.loss_mean));
  ExpectSame(a.loss, b.loss);
  ExpectSame(a.gradient_norm, b.gradient_norm);
  EXPECT_EQ(a.directions, b.directions);
  EXPECT_EQ(Bits(a.cosine_mean), Bits(b.cosine_mean));
  EXPECT_EQ(Bits(a.cosine_min), Bits(b.cosine_min));
  EXPECT_EQ(Bits(a.cosine_expected), Bits(b.cosine_expected));
  EXPECT_EQ(Bits(a.noise_scale), Bits(b.noise_scale));
  EXPECT_EQ(a.noise_scale_in_batches, b.noise_scale_in_batches);
  EXPECT_EQ(Bits(a.step_cosine), Bits(b.step_cosine));
  EXPECT_EQ(Bits(a.gradient_square), Bits(b.gradient_square));
  EXPECT_EQ(Bits(a.covariance_trace), Bits(b.covariance_trace));
  EXPECT_EQ(a.replica_values, b.replica_values);
  EXPECT_EQ(a.lookalikes, b.lookalikes);
  EXPECT_EQ(a.replica_ranks, b.replica_ranks);
  EXPECT_EQ(a.replica_majority, b.replica_majority);
  EXPECT_EQ(a.replica_groups, b.replica_groups);
  EXPECT_EQ(Bits(a.replica_spread), Bits(b.replica_spread));
  EXPECT_EQ(Bits(a.local_distance_mean), Bits(b.local_distance_mean));
  EXPECT_EQ(Bits(a.consensus_distance), Bits(b.consensus_distance));
  EXPECT_EQ(a.consensus_error, b.consensus_error);
  ExpectSame(a.samples, b.samples);
  ASSERT_EQ(a.ranks.size(), b.ranks.size());
  for (size_t i = 0; i < a.ranks.size(); ++i) {
    const consistency::RankMeasures& x = a.ranks[i];
    const consistency::RankMeasures& y = b.ranks[i];
    EXPECT_EQ(x.rank, y.rank);
    EXPECT_EQ(Bits(x.loss), Bits(y.loss));
    EXPECT_EQ(Bits(x.weight), Bits(y.weight));
    EXPECT_EQ(Bits(x.gradient_norm), Bits(y.gradient_norm));
    EXPECT_EQ(Bits(x.gradient_cosine), Bits(y.gradient_cosine));
    EXPECT_EQ(Bits(x.divergence), Bits(y.divergence));
    EXPECT_EQ(x.nonfinite_count, y.nonfinite_count);
    EXPECT_EQ(x.loss_nonfinite, y.loss_nonfinite);
    EXPECT_EQ(Bits(x.step_duration_seconds), Bits(y.step_duration_seconds));
    EXPECT_EQ(Bits(x.compute_seconds), Bits(y.compute_seconds));
    EXPECT_EQ(Bits(x.arrival_delay_seconds), Bits(y.arrival_delay_seconds));
    EXPECT_EQ(x.replica_differs, y.replica_differs);
    EXPECT_EQ(Bits(x.replica_distance), Bits(y.replica_distance));
    EXPECT_EQ(Bits(x.local_distance), Bits(y.local_distance));
    ExpectSame(x.samples, y.samples);
  }
}

inline void ExpectSame(const Judged& a, const Judged& b) {
  EXPECT_EQ(a.frame->attempt, b.frame->attempt);
  EXPECT_EQ(a.frame->step, b.frame->step);
  EXPECT_EQ(a.frame->world_size, b.frame->world_size);
  EXPECT_EQ(a.frame->reason, b.frame->reason);
  EXPECT_EQ(a.frame->first_arrival, b.frame->first_arrival);
  EXPECT_EQ(a.frame->last_arrival, b.frame->last_arrival);
  EXPECT_EQ(a.frame->closed_at, b.frame->closed_at);
  ASSERT_EQ(a.frame->reports.size(), b.frame->reports.size());
  for (size_t i = 0; i < a.frame->reports.size(); ++i) {
    ExpectSame(a.frame->reports[i], b.frame->reports[i]);
  }
  ExpectSame(*a.measures, *b.measures);
}

inline void ExpectSame(const frames::SourceInfo& a,
                       const frames::SourceInfo& b) {
  EXPECT_EQ(a.rank, b.rank);
  EXPECT_EQ(a.world_size, b.world_size);
  EXPECT_EQ(a.incarnation, b.incarnation);
  EXPECT_EQ(a.sketch, b.sketch);
  EXPECT_EQ(a.parameter_count, b.parameter_count);
  EXPECT_EQ(a.host, b.host);
  EXPECT_EQ(a.pid, b.pid);
  EXPECT_EQ(a.client_version, b.client_version);
}

inline void ExpectSame(const alert::Alert& a, const alert::Alert& b) {
  EXPECT_EQ(alert::LogLine("run", a), alert::LogLine("run", b));
  EXPECT_EQ(a.changed, b.changed);
  EXPECT_EQ(a.fired, b.fired);
  EXPECT_EQ(Bits(a.finding.value), Bits(b.finding.value));
  EXPECT_EQ(a.finding.ranks, b.finding.ranks);
  EXPECT_EQ(a.severity, b.severity);
  EXPECT_EQ(a.evidence_omitted, b.evidence_omitted);
  EXPECT_EQ(a.explained_by, b.explained_by);
  ASSERT_EQ(a.evidence.size(), b.evidence.size());
  for (size_t i = 0; i < a.evidence.size(); ++i) {
    const alert::Evidence& x = a.evidence[i];
    const alert::Evidence& y = b.evidence[i];
    EXPECT_EQ(x.subject, y.subject);
    EXPECT_EQ(Bits(x.value), Bits(y.value));
    EXPECT_EQ(Bits(x.expected), Bits(y.expected));
    EXPECT_EQ(x.first_step, y.first_step);
    EXPECT_EQ(x.last_step, y.last_step);
    EXPECT_EQ(x.sentence, y.sentence);
    EXPECT_EQ(x.standing, y.standing);
  }
}

}  // namespace muster::history

#endif  // MUSTER_TESTS_DAEMON_HISTORY_COMPARE_H_
