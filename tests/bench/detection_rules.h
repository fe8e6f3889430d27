// What people use today to find a bad rank, to be held against.
#ifndef MUSTER_TESTS_BENCH_DETECTION_RULES_H_
#define MUSTER_TESTS_BENCH_DETECTION_RULES_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/consistency/measures.h"
#include "daemon/frames/frame.h"

namespace muster::bench {

using Ranks = std::vector<uint32_t>;

// Each rule looks at one frame after the other; it alarms with the ranks that
// it names, none if it cannot name any. Thread-compatible.
class Rules {
 public:
  static constexpr int kCount = 5;
  // As they are called in JSON:
  //   mean_loss        |mean loss − its exponential average (0.97)| > 2.5
  //                    exponential standard deviations, after 30 frames
  //   sigma_and_10pct  a loss more than one standard deviation of the ranks and
  //                    more than 10 % from their mean
  //   mad              0.6745 |x − median| > 3.5 MAD of the ranks, x the loss
  //   or
  //                    the gradient norm
  //   cosine_below_0p2 a rank's cosine to the others is below 0.2
  //   weight_hash      replica fingerprints differ
  static constexpr std::array<const char*, kCount> kNames = {
      "mean_loss", "sigma_and_10pct", "mad", "cosine_below_0p2", "weight_hash"};

  using Alarms = std::array<std::optional<Ranks>, kCount>;
  const Alarms& Judge(const frames::Frame& frame,
                      const consistency::Measures& measures);

 private:
  std::optional<Ranks> MeanLoss(const consistency::Measures& measures);

  Alarms alarms_;
  uint64_t frames_ = 0;
  double average_ = 0;
  double variance_ = 0;
};

}  // namespace muster::bench

#endif  // MUSTER_TESTS_BENCH_DETECTION_RULES_H_
