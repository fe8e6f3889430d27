// The gradient noise scale, averaged over frames. Internal to this room.
#ifndef MUSTER_DAEMON_CONSISTENCY_NOISE_SCALE_H_
#define MUSTER_DAEMON_CONSISTENCY_NOISE_SCALE_H_

#include <optional>

namespace muster::consistency {

// What one frame of M ranks says, without bias (McCandlish et al. 2018, arXiv
// 1812.06162, appendix A.1, with all pairs instead of two batch sizes). For
// independent g_i with mean G and covariance Σ/w_i:
//   gradient_square  = (‖Σ g_i‖² − Σ n_i²)/(M(M−1))       → |G|²
//   covariance_trace = b·(mean n_i² − gradient_square)    → tr Σ
// where b is the harmonic mean of w_i.
struct NoiseEstimate {
  double gradient_square = 0;
  double covariance_trace = 0;
};

// Exponential averages of both, weight kDecay^age, divided by the sum of the
// weights, so that the first frames are not biased towards 0. They are averaged
// apart, as the mean of ratios is biased. Thread-compatible.
class NoiseScale {
 public:
  // 0.95: an effective sample of 39 frames. The noise scale grows over
  // thousands of steps, and one frame's |G|² is often within its own noise.
  static constexpr double kDecay = 0.95;
  // Fewer frames say too little about their own spread.
  static constexpr int kMinimumFrames = 8;

  // Takes one frame in. Estimates in another unit (weights given or not) start
  // the averages again.
  void Add(const NoiseEstimate& estimate, bool in_batches);

  // The averages; absent before the first frame.
  std::optional<NoiseEstimate> Average() const;
  bool in_batches() const { return in_batches_; }
  // Standard error of the averaged |G|², from the spread of the frames' values
  // and the effective sample size, as if frames were independent. Absent for
  // fewer than two frames.
  std::optional<double> GradientSquareError() const;
  // B = tr Σ/|G|²; absent before kMinimumFrames frames and where the averaged
  // |G|² is not above three of its standard errors.
  std::optional<double> Scale() const;

 private:
  int frames_ = 0;  // stops counting at kMinimumFrames
  bool in_batches_ = false;
  double weights_ = 0;          // sum of the frames' weights
  double squared_weights_ = 0;  // sum of their squares
  NoiseEstimate average_;
  // Weighted sum of squared deviations of gradient_square from its average.
  double deviations_ = 0;
};

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_NOISE_SCALE_H_
