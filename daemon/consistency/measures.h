// The numbers of one frame (design, section 6). Absent means that they cannot
// be computed; nothing here is NaN except where a rank reported it.
#ifndef MUSTER_DAEMON_CONSISTENCY_MEASURES_H_
#define MUSTER_DAEMON_CONSISTENCY_MEASURES_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace muster::consistency {

// Spread of one scalar over the ranks that gave a finite value.
struct Spread {
  uint32_t count = 0;
  double mean = 0;    // unweighted
  double stddev = 0;  // population, ÷ count
  double min = 0;
  double max = 0;

  double range() const { return max - min; }
  // stddev / mean; absent where the mean is 0.
  std::optional<double> cv() const {
    if (mean == 0) return std::nullopt;
    return stddev / mean;
  }
};

struct RankMeasures {
  uint32_t rank = 0;
  std::optional<double> loss;  // as reported, finite
  std::optional<double> weight;
  // Absent too where the rank observed another number of elements than most:
  // it is not comparable then.
  std::optional<double> gradient_norm;
  // cos(u_i, S − u_i): against the mean of the others. Needs two directions.
  std::optional<double> gradient_cosine;
  // 1 − cos(g_i, r): against the exponential average r of the mean direction
  // before this frame entered it.
  std::optional<double> divergence;
  uint64_t nonfinite_count = 0;
  bool loss_nonfinite = false;
  std::optional<double> step_duration_seconds;
  // Seconds between the frame's first report and this one, at the daemon; ≥ 0.
  std::optional<double> arrival_delay_seconds;
};

// Two ranks, the lower one first.
struct RankPair {
  uint32_t first = 0;
  uint32_t second = 0;

  friend bool operator==(const RankPair&, const RankPair&) = default;
};

struct Measures {
  uint32_t attempt = 0;
  uint64_t step = 0;
  uint32_t ranks_expected = 0;
  uint32_t ranks_reporting = 0;

  std::optional<double> loss_mean;  // weighted by w_i; 1 where not given
  std::optional<Spread> loss;
  std::optional<Spread> gradient_norm;

  uint32_t directions = 0;                // M of the direction statistics
  std::optional<double> cosine_mean;      // (‖S‖² − M)/(M(M−1))
  std::optional<double> cosine_min;       // lowest gradient_cosine
  std::optional<double> cosine_expected;  // 1/(1 + B/b)
  // B, in samples or tokens, or in batches where a weight was missing.
  std::optional<double> noise_scale;
  bool noise_scale_in_batches = false;
  // Cosine of this mean direction and that of the frame before, where that had
  // one and is of this attempt.
  std::optional<double> step_cosine;
  // Averaged |G|² and tr Σ per unit weight behind the noise scale, whenever
  // there is a history, published or not: E n_i² = |G|² + tr Σ / w_i, with
  // w_i = 1 if noise_scale_in_batches. |G|² may come out negative.
  std::optional<double> gradient_square;
  std::optional<double> covariance_trace;

  uint32_t replica_values = 0;  // distinct fingerprints, 0 if none reported

  // Ranks that cannot be told apart (FindLookalikes).
  std::vector<RankPair> lookalikes;

  std::vector<RankMeasures> ranks;  // ascending, one for each report
};

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_MEASURES_H_
