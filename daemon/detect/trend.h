// Where a slowly drifting quantity should be now, from where it was.
#ifndef MUSTER_DAEMON_DETECT_TREND_H_
#define MUSTER_DAEMON_DETECT_TREND_H_

#include <cstddef>
#include <deque>
#include <optional>

namespace muster::detect {

// Keeps the newest window + gap values of a series and extrapolates the older
// `window` of them to the next one: the line through the medians of the
// window's two halves (Brown and Mood's resistant line, 1951). Medians, so that
// spikes do not move it; a gap, so that a shift that has just begun is not yet
// in what it is held against; a line, so that slow drift is followed. A jump
// by d that has reached the newer half is extrapolated beyond d, by
// (window/4 + gap)/(window/2) · d: three quarters of it at 256 and 32.
//
// Thread-compatible. O(window) for each prediction.
class Trend {
 public:
  struct Prediction {
    double value = 0;
    // Standard error of `value`, as if values were independent and Gaussian
    // around the line; their spread is the median absolute deviation from it.
    double error = 0;
  };

  // At least `least` values of the window are needed for a prediction;
  // 8 ≤ least ≤ window.
  Trend(size_t window, size_t gap, size_t least);

  void Push(double value);
  // Of the value that would be pushed next; absent while values are too few.
  std::optional<Prediction> Predict() const;
  void Restart() { values_.clear(); }

 private:
  const size_t window_;
  const size_t gap_;
  const size_t least_;
  std::deque<double> values_;  // newest last
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_TREND_H_
