// How far apart healthy ranks are: robust scale of a frame, pooled over frames.
#ifndef MUSTER_DAEMON_DETECT_ROBUST_SPREAD_H_
#define MUSTER_DAEMON_DETECT_ROBUST_SPREAD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace muster::detect {

// Median of ascending values; requires one at least.
double SortedMedian(std::span<const double> sorted);

// As SortedMedian, of the values without the one at `index`; requires two.
double SortedMedianWithout(std::span<const double> sorted, size_t index);

// Median absolute deviation from the median, times a factor that makes its
// median over frames the standard deviation where values are Gaussian. Requires
// ascending values, two at least.
//
// 1.4826 is the factor for many values (Rousseeuw and Croux 1993, "Alternatives
// to the Median Absolute Deviation"); few values give less, so that those for
// M ≤ 9 are a table, and above it is 1.4826 M/(M − 1.15). docs/detection.md
// says how they were computed.
double RobustSpread(std::span<const double> sorted);

// Median and RobustSpread of `values` in any order, two at least, which it puts
// into another: the same numbers for less than sorting costs.
struct MedianAndSpread {
  double median = 0;
  double spread = 0;
};
MedianAndSpread FindMedianAndSpread(std::vector<double>& values);

// The newest spreads and their median: one burst of bad frames, or one bad rank
// in all of them, does not move it far. Pushing costs O(frames) moves of a
// small array. Thread-compatible.
class SpreadHistory {
 public:
  // Keeps the newest `frames` ≥ 1.
  explicit SpreadHistory(int frames);

  void Push(double spread);
  void Clear();
  // Median of what is kept; 0 if nothing is.
  double Pooled() const;
  // Spreads pushed since the start or Clear(), kept or not.
  uint64_t pushed() const { return pushed_; }

 private:
  const size_t frames_;
  std::vector<double> ring_;    // in order of arrival, from pushed_ % frames_
  std::vector<double> sorted_;  // the same values, ascending
  uint64_t pushed_ = 0;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_ROBUST_SPREAD_H_
