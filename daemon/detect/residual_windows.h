// Which pairs of ranks have losses that rise and fall together.
#ifndef MUSTER_DAEMON_DETECT_RESIDUAL_WINDOWS_H_
#define MUSTER_DAEMON_DETECT_RESIDUAL_WINDOWS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/detect/rank_metric.h"
#include "daemon/detect/robust_spread.h"

namespace muster::detect {

struct ResidualPair {
  uint32_t first = 0;  // the smaller rank
  uint32_t second = 0;
  double correlation = 0;
};

// Smallest correlation of two independent Gaussian series of `frames` values,
// each with its line taken out, that is exceeded with a probability of at most
// `probability`: solves p(ρ) = (1 − ρ²)^((m−2)/2)/((m−2) ρ B(1/2, (m−2)/2)),
// m = frames − 1, an upper bound of the tail of Pearson's correlation that is
// tight where it matters. 0.7 over 50 frames: 1.1·10⁻⁸.
double CorrelationAt(size_t frames, double probability);
double CorrelationTail(size_t frames, double correlation);

// Losses of ranks over windows of `frames` frames, one after the other. The
// residual of a rank is its loss (rank_metric.h: weights taken out) less the
// median of the ranks, over the robust spread pooled over a window, kept within
// ± 3; so no odd rank makes the others' residuals move together. Of a window,
// ranks that lack a value are left out, and the line through each rank's
// residuals is taken out, as slow drifts are alike without shared data.
//
// Correlations are computed for candidates only: pairs whose residuals have the
// same sign in seven of ten frames. One 64-bit word for each rank holds its
// signs, so that a pair costs one exclusive or. Independent ranks pass in 0.3 %
// of pairs, ranks that correlate by 0.7 in 82 %, by 0.8 in 96 %. At most 2²⁰
// pairs are looked at in one frame: the window of 8,192 ranks takes 33 frames,
// while the next one fills.
//
// Memory: 8 bytes for each rank and frame of the window. Thread-compatible.
class ResidualWindows {
 public:
  // 16 ≤ frames ≤ 64; pairs are reported from `least` on, and only if the
  // expected number of false pairs is at most one in `target_frames` frames.
  ResidualWindows(size_t frames, double least, double target_frames);

  // Takes a frame's losses (ascending by rank, of ranks below `world_size`); a
  // frame of fewer than 4 ranks, or without spread, is left out. Looks at pairs
  // of the window that was filled last, and appends those that correlate; true
  // if these were the last of it.
  bool Take(const std::vector<RankValue>& losses, uint32_t world_size,
            uint64_t step, std::vector<ResidualPair>& found);
  void Restart();

  // Of the window that is looked at, or was last.
  uint64_t first_step() const { return judged_.first_step; }
  double least_correlation() const { return least_now_; }

 private:
  struct Window {
    std::vector<float> residuals;   // by rank, `frames` each
    std::vector<uint32_t> present;  // frames with a value, by rank
    size_t frames = 0;
    uint64_t first_step = 0;
  };

  void Fill(const std::vector<RankValue>& losses, uint64_t step);
  void Standardise();
  bool LookAtPairs(std::vector<ResidualPair>& found);

  const size_t frames_;
  const double least_;
  const double target_frames_;
  uint32_t world_size_ = 0;
  SpreadHistory spreads_;
  Window filling_;
  Window judged_;
  // Of judged_: ranks with all values, and the signs of their residuals.
  std::vector<uint32_t> ranks_;
  std::vector<uint64_t> signs_;
  size_t next_ = 0;  // index of the rank whose pairs come next
  double least_now_ = 1;
  std::vector<double> values_;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_RESIDUAL_WINDOWS_H_
