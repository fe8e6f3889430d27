#include "daemon/detect/shard_overlap.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

using consistency::Measures;
using consistency::RankMeasures;
using consistency::SampleMeasures;

constexpr double kHealthyShare = 0.01;
constexpr double kSureErrors = 4;
constexpr uint64_t kMinDrawn = 32;

const char* Unit(const SampleMeasures& samples) {
  return samples.batches ? "batches" : "samples";
}

// Empty where most ranks are concerned.
std::vector<uint32_t> Named(std::vector<uint32_t> ranks, size_t of) {
  if (ranks.size() >= 3 && 2 * ranks.size() > of) ranks.clear();
  return ranks;
}

bool FindOverlap(const Measures& measures, Concern& concern) {
  const SampleMeasures& samples = *measures.samples;
  const double padding = measures.ranks_expected - 1.0;
  const double sure = samples.distinct * (samples.shared_share -
                                          kSureErrors * samples.shared_error);
  if (samples.with_replacement || samples.shared_share <= kHealthyShare ||
      sure <= padding || samples.kept < kMinDrawn * measures.ranks_reporting) {
    return false;
  }
  double worst = 0;
  for (const RankMeasures& rank : measures.ranks) {
    if (rank.samples) worst = std::max(worst, rank.samples->shared_share);
  }
  for (const RankMeasures& rank : measures.ranks) {
    if (rank.samples && 2 * rank.samples->shared_share >= worst) {
      concern.ranks.push_back(rank.rank);
    }
  }
  concern.value = samples.shared_share;
  concern.expected = padding / samples.distinct;
  concern.evidence = absl::StrFormat(
      "%.3g%% of the %.0f %s drawn in epoch %d so far were drawn by more than "
      "one rank, by %s above all",
      100 * samples.shared_share, samples.distinct, Unit(samples),
      samples.epoch, RankList(concern.ranks));
  if (samples.shared_error > 0) {
    absl::StrAppendFormat(&concern.evidence, " (± %.2g%%)",
                          100 * samples.shared_error);
  }
  if (samples.undrawn_share) {
    absl::StrAppendFormat(
        &concern.evidence, "; %.3g%% of the data set %s drawn by nobody%s",
        100 * *samples.undrawn_share, samples.closed ? "was" : "has been",
        samples.closed ? "" : " yet");
  }
  concern.evidence += ".";
  concern.ranks = Named(std::move(concern.ranks), measures.ranks_reporting);
  return true;
}

bool FindRepeats(const Measures& measures, Concern& concern) {
  const SampleMeasures& samples = *measures.samples;
  if (samples.with_replacement) return false;
  uint32_t worst_rank = 0;
  for (const RankMeasures& rank : measures.ranks) {
    if (!rank.samples || rank.samples->repeat_share <= kHealthyShare) continue;
    const double drawn = static_cast<double>(rank.samples->drawn);
    // Distinct ones over their share of all draws: the draws.
    if (drawn / (1 - rank.samples->repeat_share) < kMinDrawn) continue;
    concern.ranks.push_back(rank.rank);
    if (rank.samples->repeat_share > concern.value) {
      concern.value = rank.samples->repeat_share;
      worst_rank = rank.rank;
    }
  }
  if (concern.ranks.empty()) return false;
  concern.evidence = absl::StrFormat(
      "%s %s the same %s again within epoch %d: %.3g%% of rank %d's draws so "
      "far were repeats.",
      RankListAtStart(concern.ranks),
      concern.ranks.size() == 1 ? "draws" : "draw", Unit(samples),
      samples.epoch, 100 * concern.value, worst_rank);
  concern.ranks = Named(std::move(concern.ranks), measures.ranks_reporting);
  return true;
}

bool FindOldOrder(const Measures& measures, Concern& concern) {
  const SampleMeasures& samples = *measures.samples;
  if (!samples.shuffled) return false;
  for (const RankMeasures& rank : measures.ranks) {
    if (rank.samples && rank.samples->same_order) {
      concern.ranks.push_back(rank.rank);
    }
  }
  if (concern.ranks.empty()) return false;
  concern.value = static_cast<double>(concern.ranks.size());
  concern.evidence = absl::StrFormat(
      "%s %s %s in the same order in epoch %d as in the epoch before, though "
      "the sampler is said to shuffle; is set_epoch() called?",
      RankListAtStart(concern.ranks),
      concern.ranks.size() == 1 ? "draws" : "draw", Unit(samples),
      samples.epoch);
  concern.ranks = Named(std::move(concern.ranks), measures.ranks_reporting);
  return true;
}

}  // namespace

void ShardOverlap::OnFrame(const JudgedFrame& judged,
                           std::vector<Finding>& out) {
  attempt_ = judged.frame.attempt;
  last_step_ = judged.frame.step;
  if (!judged.measures.samples) return;
  Concern concern;
  bool found = FindOverlap(judged.measures, concern);
  Settle(overlap_, judged, found, std::move(concern), out);
  concern = {};
  found = FindRepeats(judged.measures, concern);
  Settle(repeats_, judged, found, std::move(concern), out);
  concern = {};
  found = FindOldOrder(judged.measures, concern);
  Settle(order_, judged, found, std::move(concern), out);
}

void ShardOverlap::Settle(Life& life, const JudgedFrame& judged, bool found,
                          Concern concern, std::vector<Finding>& out) {
  const SampleMeasures& samples = *judged.measures.samples;
  if (found) {
    life.epoch = samples.epoch;
    life.standing.Raise(std::move(concern), attempt_, last_step_, out);
  } else if (samples.closed && samples.epoch > life.epoch) {
    life.standing.Clear(attempt_, last_step_, out);
  }
}

void ShardOverlap::OnEvent(const frames::Event& event,
                           std::vector<Finding>& out) {
  if (!std::holds_alternative<frames::AttemptBegan>(event)) return;
  for (Life* life : {&overlap_, &repeats_, &order_}) {
    life->standing.Clear(attempt_, last_step_, out);
  }
}

}  // namespace muster::detect
