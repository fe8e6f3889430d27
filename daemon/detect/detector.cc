#include "daemon/detect/detector.h"

#include "absl/strings/str_format.h"
#include "daemon/detect/duplicate_shard.h"
#include "daemon/detect/fact_mismatch.h"
#include "daemon/detect/non_finite.h"
#include "daemon/detect/rank_missing.h"
#include "daemon/detect/rank_outlier.h"
#include "daemon/detect/replica_drift.h"
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

}  // namespace

const char* KindName(Kind kind) {
  switch (kind) {
    case Kind::kNonFinite:
      return "NonFinite";
    case Kind::kFactMismatch:
      return "FactMismatch";
    case Kind::kDuplicateShard:
      return "DuplicateShard";
    case Kind::kRankOutlier:
      return "RankOutlier";
    case Kind::kRankMissing:
      return "RankMissing";
    case Kind::kShardOverlap:
      return "ShardOverlap";
    case Kind::kReplicaDrift:
      return "ReplicaDrift";
  }
  return "Unknown";
}

std::string Validate(const DetectOptions& options) {
  const RankOutlierOptions& outlier = options.rank_outlier;
  const double largest = 1e300;
  const double day = 86400;
  for (const std::string& error : {
           CheckRange("rank_outlier.target_frames", outlier.target_frames, 10,
                      1e12),
           CheckRange("rank_outlier.margin", outlier.margin, 0, 10),
           CheckRange("rank_outlier.loss_floor", outlier.loss_floor, 0,
                      largest),
           CheckRange("rank_outlier.log_norm_floor", outlier.log_norm_floor, 0,
                      largest),
           CheckRange("rank_outlier.cosine_floor", outlier.cosine_floor, 0, 2),
           CheckRange("rank_outlier.spread_frames", outlier.spread_frames, 8,
                      65536),
           CheckRange("rank_outlier.warmup_frames", outlier.warmup_frames, 1,
                      outlier.spread_frames),
           CheckRange("rank_outlier.gross_after_frames",
                      outlier.gross_after_frames, 1, 1e9),
           CheckRange("rank_outlier.resolve_after_frames",
                      outlier.resolve_after_frames, 1, 1e9),
           CheckRange("duplicate_frames", options.duplicate_frames, 1, 1000),
           CheckRange("scaler_overflow_steps", options.scaler_overflow_steps, 1,
                      1000000),
           CheckRange("rank_missing_after (seconds)",
                      absl::ToDoubleSeconds(options.rank_missing_after), 0.001,
                      day),
           CheckRange("world_size_after (seconds)",
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
  detectors.push_back(std::make_unique<NonFinite>(options));
  detectors.push_back(std::make_unique<SourceMismatch>(options));
  detectors.push_back(std::make_unique<FactMismatch>());
  detectors.push_back(std::make_unique<DuplicateShard>(options));
  detectors.push_back(std::make_unique<RankOutlier>(options.rank_outlier));
  detectors.push_back(std::make_unique<RankMissing>(options));
  detectors.push_back(std::make_unique<ZeroGradients>());
  detectors.push_back(std::make_unique<ReplicaDrift>());
  detectors.push_back(std::make_unique<ShardOverlap>());
  return detectors;
}

}  // namespace muster::detect
