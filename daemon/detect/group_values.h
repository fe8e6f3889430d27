// How well the ranks agree as a group, in coordinates in which drift is slow
// and a change of size is a shift.
#ifndef MUSTER_DAEMON_DETECT_GROUP_VALUES_H_
#define MUSTER_DAEMON_DETECT_GROUP_VALUES_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "daemon/consistency/measures.h"

namespace muster::detect {

enum class GroupMetric { kLoss, kGradientNorm, kDirection };
inline constexpr std::array<GroupMetric, 3> kGroupMetrics = {
    GroupMetric::kLoss, GroupMetric::kGradientNorm, GroupMetric::kDirection};

// Of one frame; absent where it cannot be computed. With b the harmonic mean
// of the ranks' weights (1 where one is missing):
//   kLoss          log of the robust spread (robust_spread.h) of the losses
//                  + ½ log b: their variance falls with b
//   kGradientNorm  log of the robust spread of log n_i: the norms' robust cv
//   kDirection     log(c/(1 − c)) − log b, c the mean cosine of pairs. Where c
//                  is 1/(1 + B/b), this is −log B: the noise scale's relation
//                  takes the batch out, and growth of B by a factor is a shift.
//                  c is kept within 0.005 … 0.995
// Robust spreads, so that one odd rank is RankOutlier's and not the group's. A
// frame that lacks a quarter of the ranks or more has no values.
struct GroupValues {
  std::array<std::optional<double>, kGroupMetrics.size()> values;
  double log_weight = 0;  // log b

  const std::optional<double>& operator[](GroupMetric metric) const {
    return values[static_cast<size_t>(metric)];
  }
};
// Only those of `metrics`, if not all are wanted.
GroupValues GroupValuesOf(const consistency::Measures& measures,
                          std::span<const GroupMetric> metrics = kGroupMetrics);

// What a value means to people: standard deviation of the losses, coefficient
// of variation of the norms, mean cosine; at the weight exp(log_weight).
double NaturalValue(GroupMetric metric, double value, double log_weight);

// The values of another run by step, to hold this one against. Filled before it
// is used, then constant.
class ReferenceCurve {
 public:
  void Add(uint64_t step, const GroupValues& values);
  // Median over the frames within 16 steps, five at least; else absent.
  std::optional<double> At(GroupMetric metric, uint64_t step) const;

 private:
  std::map<uint64_t, GroupValues> by_step_;
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_GROUP_VALUES_H_
