#include "daemon/detect/detector.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "daemon/detect/correlated_losses.h"
#include "daemon/detect/duplicate_shard.h"
#include "daemon/detect/fact_mismatch.h"
#include "daemon/detect/group_shift.h"
#include "daemon/detect/non_finite.h"
#include "daemon/detect/rank_lagging.h"
#include "daemon/detect/rank_missing.h"
#include "daemon/detect/rank_outlier.h"
#include "daemon/detect/replica_drift.h"
#include "daemon/detect/run_stalled.h"
#include "daemon/detect/shard_overlap.h"
#include "daemon/detect/source_mismatch.h"
#include "daemon/detect/zero_gradients.h"

namespace muster::detect {
namespace {

std::string CheckRange(const char* field, double value, double low,
                       double high) {
  if (value >= low && value <= high) return "";  // false for NaN
  return absl::StrFormat("%s is %g, allowed are %g … %g", field, value, low,
                         high);
}

std::string CheckGroupShift(const std::string& kind,
                            const GroupShiftOptions& options) {
  const auto check = [&](const char* field, double value, double low,
                         double high) {
    return CheckRange((kind + "." + field).c_str(), value, low, high);
  };
  for (const std::string& error : {
           check("budget", options.budget, 0.001, 1),
           check("effect", options.effect, 0.01, 10),
           check("warmup_frames", options.warmup_frames, 0, 1e9),
           check("window_frames", options.window_frames, 128, 65536),
           check("resolve_after_frames", options.resolve_after_frames, 1, 1e9),
           check("absorb_frames", options.absorb_frames, 1, 1e9),
       }) {
    if (!error.empty()) return error;
  }
  return "";
}

}  // namespace

std::string Validate(const DetectOptions& options) {
  const RankOutlierOptions& outlier = options.rank_outlier;
  const double largest = 1e300;
  const double day = 86400;
  for (const std::string& error : {
           CheckRange("target_frames", options.target_frames, 10, 1e12),
           CheckRange("rank_outlier.budget", outlier.budget, 0.001, 1),
           CheckGroupShift("dispersion_shift", options.dispersion_shift),
           CheckGroupShift("direction_shift", options.direction_shift),
           CheckRange("budgets of all kinds together",
                      outlier.budget + options.dispersion_shift.budget +
                          options.direction_shift.budget +
                          options.correlation_budget,
                      0, 1.000001),
           CheckRange("rank_outlier.margin", outlier.margin, 0, 10),
           CheckRange("rank_outlier.loss_floor", outlier.loss_floor, 0,
                      largest),
           CheckRange("rank_outlier.log_norm_floor", outlier.log_norm_floor, 0,
                      largest),
           CheckRange("rank_outlier.cosine_floor", outlier.cosine_floor, 0, 2),
           CheckRange("rank_outlier.log_step_time_floor",
                      outlier.log_step_time_floor, 0, largest),
           CheckRange("rank_outlier.spread_frames", outlier.spread_frames, 8,
                      65536),
           CheckRange("rank_outlier.warmup_frames", outlier.warmup_frames, 1,
                      outlier.spread_frames),
           CheckRange("rank_outlier.gross_after_frames",
                      outlier.gross_after_frames, 1, 1e9),
           CheckRange("rank_outlier.resolve_after_frames",
                      outlier.resolve_after_frames, 1, 1e9),
           CheckRange("duplicate_shard.frames", options.duplicate_frames, 1,
                      1000),
           CheckRange("duplicate_shard.correlation", options.correlation, 0.3,
                      1),
           CheckRange("duplicate_shard.correlation_frames",
                      options.correlation_frames, 16, 64),
           CheckRange("duplicate_shard.budget", options.correlation_budget,
                      0.001, 1),
           CheckRange("non_finite.scaler_overflow_steps",
                      options.scaler_overflow_steps, 1, 1000000),
           CheckRange("rank_missing.after (seconds)",
                      absl::ToDoubleSeconds(options.rank_missing_after), 0.001,
                      day),
           CheckRange("rank_lagging.after (seconds)",
                      absl::ToDoubleSeconds(options.rank_lagging_after), 0.001,
                      day),
           CheckRange("run_stalled.after (seconds)",
                      absl::ToDoubleSeconds(options.run_stalled_after), 0.001,
                      day),
           CheckRange("fact_mismatch.world_size_after (seconds)",
                      absl::ToDoubleSeconds(options.world_size_after), 0.001,
                      day),
       }) {
    if (!error.empty()) return error;
  }
  return "";
}

std::vector<std::unique_ptr<Detector>> MakeDetectors(
    const DetectOptions& options) {
  std::vector<std::unique_ptr<Detector>> detectors;
  const auto add = [&](Kind kind, std::unique_ptr<Detector> detector) {
    const KindSetting& setting = options.kinds[static_cast<size_t>(kind)];
    if (setting.mode != Mode::kOff) detectors.push_back(std::move(detector));
  };
  const auto target = [&](double budget) {
    return options.target_frames / budget;
  };
  RankOutlierOptions outlier = options.rank_outlier;
  outlier.target_frames = target(outlier.budget);

  add(Kind::kNonFinite, std::make_unique<NonFinite>(options));
  // Facts come before what they may explain.
  add(Kind::kFactMismatch, std::make_unique<SourceMismatch>(options));
  add(Kind::kFactMismatch, std::make_unique<FactMismatch>());
  add(Kind::kDuplicateShard, std::make_unique<DuplicateShard>(options));
  add(Kind::kDuplicateShard, std::make_unique<CorrelatedLosses>(
                                 options, target(options.correlation_budget)));
  add(Kind::kRankOutlier, std::make_unique<RankOutlier>(outlier));
  for (const auto& [kind, shift] :
       {std::pair(Kind::kDispersionShift, options.dispersion_shift),
        std::pair(Kind::kDirectionShift, options.direction_shift)}) {
    GroupShiftOptions own = shift;
    own.target_frames = target(own.budget);
    add(kind, std::make_unique<GroupShift>(kind, own, options.reference));
  }
  add(Kind::kRankMissing, std::make_unique<RankMissing>(options));
  add(Kind::kRankLagging, std::make_unique<RankLagging>(options));
  add(Kind::kRunStalled, std::make_unique<RunStalled>(options));
  add(Kind::kFactMismatch, std::make_unique<ZeroGradients>());
  add(Kind::kReplicaDrift, std::make_unique<ReplicaDrift>());
  add(Kind::kShardOverlap, std::make_unique<ShardOverlap>());
  return detectors;
}

}  // namespace muster::detect
