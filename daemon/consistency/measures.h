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

// What one rank has drawn in the epoch that SampleMeasures is about.
struct RankSamples {
  uint64_t drawn = 0;  // distinct samples behind the shares
  // Of its distinct samples, those that another rank has drawn too.
  double shared_share = 0;
  // Of its draws, those of a sample that it had drawn before.
  double repeat_share = 0;
  // Its first samples are those of the epoch before, in the same order.
  bool same_order = false;
};

// Samples drawn in the oldest epoch that a rank still draws from, and once more
// when all ranks have left it. Exact up to a limit of memory; beyond it from
// the samples with the lowest hashes, with standard errors (0 while exact).
struct SampleMeasures {
  uint64_t epoch = 0;
  bool closed = false;            // all ranks have left it: the last word
  bool batches = false;           // what is counted are whole batches
  bool with_replacement = false;  // ranks draw with replacement, as they state
  bool shuffled = false;          // ranks state that they draw in random order
  uint64_t kept = 0;              // distinct samples behind the shares
  double distinct = 0;            // distinct samples drawn by all ranks
  double distinct_error = 0;
  double shared_share = 0;  // of those, drawn by more than one rank
  double shared_error = 0;
  double repeat_share = 0;  // of all draws, repeats within a rank
  double repeat_error = 0;
  // Of the data set, drawn by no rank so far. Absent if its length is not
  // stated, or where batches are counted.
  std::optional<double> undrawn_share;
  double undrawn_error = 0;
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
  // Of its own in this step, without waiting for other ranks. Absent too where
  // another rank of the frame gave its duration alone: not comparable then.
  std::optional<double> compute_seconds;
  // Seconds between the frame's first report and this one, at the daemon; ≥ 0.
  std::optional<double> arrival_delay_seconds;
  // Its parameters are not those that most ranks have (Measures::replica…).
  bool replica_differs = false;
  // ‖x_i − x‖/‖x‖ by sketches; x are the parameters that most ranks have, or
  // their mean where none have.
  std::optional<double> replica_distance;
  // Norm of its change since the ranks last agreed (local-update training).
  std::optional<double> local_distance;
  std::optional<RankSamples> samples;
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
  uint32_t replica_ranks = 0;   // ranks that reported one
  // More ranks have one fingerprint than have any other, and at least two: the
  // others differ. If not, and there are several, all differ.
  bool replica_majority = false;
  // Groups of parameters in which a fingerprint differs, ascending.
  std::vector<uint32_t> replica_groups;
  // √(Σ‖x_i − x̄‖²/M)/‖x̄‖ over the M ranks with a sketch of their parameters.
  // Sketches resolve nothing below about 10⁻⁷.
  std::optional<double> replica_spread;

  // Local-update training: mean of local_distance over ranks, and √(Σ‖x_i −
  // x̄‖²/N) with its standard error, from sketches of the change.
  std::optional<double> local_distance_mean;
  std::optional<double> consensus_distance;
  double consensus_error = 0;

  std::optional<SampleMeasures> samples;  // absent if no rank records any

  // Ranks that cannot be told apart (FindLookalikes).
  std::vector<RankPair> lookalikes;

  std::vector<RankMeasures> ranks;  // ascending, one for each report
};

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_MEASURES_H_
