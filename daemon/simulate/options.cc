#include "daemon/simulate/options.h"

#include <bit>

#include "absl/strings/str_format.h"

namespace muster::simulate {
namespace {

constexpr const char* kFaultNames[kFaultKindCount] = {
    "loss-shift",    "gradient-scale", "label-noise", "duplicate-shard",
    "non-finite",    "exponent-flip",  "slow-rank",   "rank-dies",
    "replica-drift", "noise-scale"};

std::string CheckRange(const std::string& field, double value, double low,
                       double high) {
  if (value >= low && value <= high) return "";  // false for NaN
  return absl::StrFormat("%s is %g; allowed are %g … %g", field, value, low,
                         high);
}

std::string CheckFault(const Fault& fault, uint32_t ranks) {
  const std::string name = FaultName(fault.kind);
  if (fault.kind != FaultKind::kNoiseScale && fault.rank >= ranks) {
    return absl::StrFormat("rank of fault %s is %d; allowed are 0 … %d", name,
                           fault.rank, ranks - 1);
  }
  const std::string size = "size of fault " + name;
  switch (fault.kind) {
    case FaultKind::kLossShift:
      return CheckRange(size, fault.size, -1e6, 1e6);
    case FaultKind::kGradientScale:
    case FaultKind::kSlowRank:
    case FaultKind::kNoiseScale:
      return CheckRange(size, fault.size, 1e-6, 1e6);
    case FaultKind::kLabelNoise:
      return CheckRange(size, fault.size, 0, 1);
    case FaultKind::kDuplicateShard:
      if (ranks < 2) return "fault duplicate-shard needs 2 ranks";
      return CheckRange(size, fault.size, 0, 1);
    case FaultKind::kExponentFlip:
      return CheckRange(size, fault.size, 23, 30);
    case FaultKind::kNonFinite:
    case FaultKind::kRankDies:
    case FaultKind::kReplicaDrift:
      return "";
  }
  return "unknown fault";
}

// Faults that change a sketch, and not its norm alone.
bool ChangesSketch(FaultKind kind) {
  return kind == FaultKind::kLabelNoise || kind == FaultKind::kDuplicateShard ||
         kind == FaultKind::kExponentFlip || kind == FaultKind::kNoiseScale;
}

std::string CheckPool(const Options& options) {
  if (options.sketch_pool == 0) return "";
  std::string error =
      CheckRange("sketch_pool", options.sketch_pool, options.ranks, 65536);
  if (!error.empty()) return error + ", or 0 for none";
  const std::string needs = "sketch_pool deals out what was drawn before; ";
  if (options.sketch_width == 0) return needs + "it needs a sketch_width";
  if (options.noise_start != options.noise_end) {
    return needs + "noise_start and noise_end must be the same";
  }
  if (options.weights != Weights::kEqual) {
    return needs + "weights must be equal";
  }
  for (const Fault& fault : options.faults) {
    if (!ChangesSketch(fault.kind)) continue;
    return absl::StrFormat("%sfault %s would change that", needs,
                           FaultName(fault.kind));
  }
  return "";
}

}  // namespace

const char* FaultName(FaultKind kind) {
  return kFaultNames[static_cast<size_t>(kind)];
}

std::optional<FaultKind> ParseFaultKind(std::string_view name) {
  for (int i = 0; i < kFaultKindCount; ++i) {
    if (name == kFaultNames[i]) return static_cast<FaultKind>(i);
  }
  return std::nullopt;
}

std::string Validate(const Options& options) {
  const double many = 1e9;
  for (const std::string& error : {
           CheckRange("ranks", options.ranks, 1, 65536),
           CheckRange("loss_start", options.loss_start, 1e-6, many),
           CheckRange("loss_end", options.loss_end, 1e-6, many),
           CheckRange("loss_steps", options.loss_steps, 1e-3, many),
           CheckRange("loss_noise", options.loss_noise, 0, 1),
           CheckRange("noise_start", options.noise_start, 1e-6, 1e6),
           CheckRange("noise_end", options.noise_end, 1e-6, 1e6),
           CheckRange("noise_steps", options.noise_steps, 1e-3, many),
           CheckRange("effective_dimension", options.effective_dimension, 8,
                      1e12),
           CheckRange("direction_steps", options.direction_steps, 0, many),
           CheckRange("weight_spread", options.weight_spread, 0, 0.9),
           CheckRange("batch_samples", options.batch_samples, 1e-3, many),
           CheckRange("epoch_steps", options.epoch_steps, 0, 100'000),
           CheckRange("learning_rate", options.learning_rate, 1e-12, 1e6),
           CheckRange("step_seconds", options.step_seconds, 1e-6, 86400),
       }) {
    if (!error.empty()) return error;
  }
  const uint32_t width = options.sketch_width;
  if (width != 0 &&
      (!std::has_single_bit(width) || width < 64 || width > 65536)) {
    return absl::StrFormat(
        "sketch_width is %d; allowed are 0 (none) and the powers of two in 64 "
        "… 65536",
        width);
  }
  for (const Fault& fault : options.faults) {
    std::string error = CheckFault(fault, options.ranks);
    if (!error.empty()) return error;
  }
  return CheckPool(options);
}

}  // namespace muster::simulate
