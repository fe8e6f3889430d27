// Turns a closed frame into numbers. Pure: no clock, no I/O; sums in a fixed
// order, so that the same frames give the same bytes.
#ifndef MUSTER_DAEMON_CONSISTENCY_MEASURE_H_
#define MUSTER_DAEMON_CONSISTENCY_MEASURE_H_

#include <memory>
#include <string_view>
#include <vector>

#include "daemon/consistency/measures.h"
#include "daemon/frames/frame.h"

namespace muster::consistency {

// Decodes a report's sketch and divides it by its own norm: a unit vector of
// the sketch's width. Requires: not empty, finite, not all zero.
std::vector<double> DecodeDirection(std::string_view sketch);

// Cosine of two reports' directions; requires both to have a sketch.
double DirectionCosine(const frames::Report& a, const frames::Report& b);

// Ranks whose directions may be compared in this frame: those with a sketch,
// a single backward pass, and the coverage (elements observed) that most have.
// Indices into frame.reports, ascending.
std::vector<size_t> ComparableDirections(const frames::Frame& frame);

// Cosines of all pairs of comparable directions, row by row, ranks ascending.
struct CosineMatrix {
  std::vector<uint32_t> ranks;
  std::vector<float> cosines;  // ranks.size()², diagonal 1
};
CosineMatrix PairCosines(const frames::Frame& frame);

inline constexpr double kLookalikeTolerance = 1e-5;  // relative
inline constexpr double kLookalikeCosine = 0.9999;

// Pairs of ranks whose loss and gradient norm are equal to kLookalikeTolerance
// and whose directions have a cosine of at least kLookalikeCosine: as many as
// connect each group of them, not all. Zero losses and zero gradients are equal
// without saying anything, and pair nobody.
//
// Candidates are neighbours in sorted order, eight at most for each report, so
// that a frame costs O(N log N) and few cosines.
std::vector<RankPair> FindLookalikes(const frames::Frame& frame);

// What measuring one frame needs to know of the frames before it: averages of
// the noise scale's numerator and denominator (apart, as their ratio is
// biased; McCandlish et al. 2018, arXiv 1812.06162, appendix A.1), their
// standard error, the reference direction and the previous mean direction.
// Thread-compatible.
class Baseline {
 public:
  Baseline();
  ~Baseline();
  // Measures `frame` and takes it in.
  Measures Measure(const frames::Frame& frame);
  // Forgets everything: the world size or the batch changed.
  void Reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_MEASURE_H_
