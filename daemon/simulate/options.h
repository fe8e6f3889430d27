// What a synthetic run is made of, and what goes wrong in it.
#ifndef MUSTER_DAEMON_SIMULATE_OPTIONS_H_
#define MUSTER_DAEMON_SIMULATE_OPTIONS_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::simulate {

enum class Tails { kGaussian, kStudentT3 };

// Samples behind a rank's batch, relative to their mean.
enum class Weights {
  kEqual,
  kFresh,  // drawn anew at each step
  kFixed,  // drawn once, and kept by the rank
};

enum class FaultKind {
  kLossShift,       // loss + size × its standard deviation
  kGradientScale,   // gradient × size
  kLabelNoise,      // share `size` of the labels is random
  kDuplicateShard,  // noise has correlation `size` with the next rank's; 1:
                    // same
  kNonFinite,       // loss and one gradient element are NaN
  kExponentFlip,  // exponent bit `size` (23 … 30) of one gradient element, in
                  // the step of onset only
  kSlowRank,      // step duration × size
  kRankDies,      // reports no more, while the others go on
  kReplicaDrift,  // another replica fingerprint
  kNoiseScale,    // noise scale of all ranks × size; `rank` does not matter
};
inline constexpr int kFaultKindCount = 10;

// "loss-shift", …
const char* FaultName(FaultKind kind);
std::optional<FaultKind> ParseFaultKind(std::string_view name);

struct Fault {
  FaultKind kind = FaultKind::kLossShift;
  uint32_t rank = 0;
  uint64_t onset = 0;                                     // first step
  uint64_t steps = std::numeric_limits<uint64_t>::max();  // how many
  double size = 1;                                        // see FaultKind

  bool ActiveAt(uint64_t step) const {
    return step >= onset && step - onset < steps;
  }
};

// The model; generator.h has its formulas.
struct Options {
  uint64_t seed = 1;
  uint32_t ranks = 8;  // 1 … 65,536
  Tails tails = Tails::kGaussian;

  // Mean loss falls from start to end, by 1/e in loss_steps; > 0.
  double loss_start = 4;
  double loss_end = 2;
  double loss_steps = 500;
  // Standard deviation of a rank's loss, as a share of the mean; 0 … 1.
  double loss_noise = 0.02;

  // B/b, the noise scale in mean batches, goes from start to end, and has 1/e
  // of the way (in its logarithm) left after noise_steps; > 0.
  double noise_start = 4;
  double noise_end = 4;
  double noise_steps = 100;
  // Independent directions among the noise of a gradient: many make norms and
  // cosines sure; ≥ 8. With sketches their width takes its place, but for the
  // tails of the norm.
  double effective_dimension = 1000;
  // Steps over which the mean direction keeps 1/e of itself; 0: a new one at
  // each step.
  double direction_steps = 100;
  // Numbers in a sketch, a power of two in 64 … 65,536; 0: no sketches.
  uint32_t sketch_width = 0;
  // Sketches that are drawn before the first step and dealt out anew at each,
  // ranks … 65,536; 0: each is drawn for its step, which costs a hundred times
  // as much. Only where no sketch depends on step, rank or weight.
  uint32_t sketch_pool = 0;

  Weights weights = Weights::kEqual;
  // Weights are uniform in 1 ± spread; 0 … 0.9.
  double weight_spread = 0.5;
  // Samples in a batch of weight 1; > 0.
  double batch_samples = 32;
  // Steps in an epoch in which each rank goes through a shard of its own, the
  // same in each epoch; 0: fresh data for ever. At most 100,000.
  uint32_t epoch_steps = 0;

  double learning_rate = 1e-3;     // > 0
  uint32_t warmup_steps = 0;       // it rises linearly over so many steps
  std::vector<uint64_t> lr_drops;  // and falls to a tenth at each of these

  // Mean steps between overflows of a gradient scaler; 0: none in use.
  uint32_t overflow_every = 0;

  double step_seconds = 1;    // > 0
  bool fingerprints = false;  // report a replica fingerprint at each step
  std::vector<Fault> faults;
};

// Empty if good, else one line naming field, value and allowed range.
std::string Validate(const Options& options);

}  // namespace muster::simulate

#endif  // MUSTER_DAEMON_SIMULATE_OPTIONS_H_
