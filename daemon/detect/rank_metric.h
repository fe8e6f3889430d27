// The metrics by which ranks are ordered, in a form in which healthy ranks are
// exchangeable.
#ifndef MUSTER_DAEMON_DETECT_RANK_METRIC_H_
#define MUSTER_DAEMON_DETECT_RANK_METRIC_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/consistency/measures.h"

namespace muster::detect {

enum class Metric { kLoss, kGradientNorm, kDirection, kStepTime };
inline constexpr std::array<Metric, 4> kMetrics = {
    Metric::kLoss, Metric::kGradientNorm, Metric::kDirection,
    Metric::kStepTime};

// "loss", "gradient_norm", "direction", "step_time": a finding's subject.
const char* MetricSubject(Metric metric);
// "loss", "gradient norm", "gradient cosine to the others", "step time": words.
const char* MetricName(Metric metric);

// As reported; absent where the rank has none in this frame. The step time is
// that of the rank's own computing where that is known, else the time since its
// report before.
std::optional<double> RawValue(Metric metric,
                               const consistency::RankMeasures& rank);

struct RankValue {
  uint32_t rank = 0;
  double value = 0;
};

// Values of the ranks below `world_size` that have the metric, ascending by
// rank: the loss ℓ_i, log n_i², the rank's cosine c_i to the others, and the
// log of its step time.
//
// If those ranks state weights w_i that differ, what the weights explain is
// taken out, scaled so that the units stay (w̄ is their mean, Ĝ² and tr Σ̂ the
// averages behind the noise scale):
//   loss            (ℓ_i − ℓ̄) √(w_i/w̄), ℓ̄ weighted: its variance falls with w_i
//   gradient norm   log n_i² − log(Ĝ² + tr Σ̂/w_i): E n_i² = G² + tr Σ/w_i
//   direction       (p_i − p̄) √(w_i/w̄)/p(w̄) with p(w) = √(Ĝ² + tr Σ̂/w) and
//                   p_i = c_i p(w_i), the projection that has mean G and
//                   a variance that falls with w_i
// Norm and direction stay plain while the averages are absent or not positive;
// step times are never changed.
void ComparableValues(Metric metric, const consistency::Measures& measures,
                      uint32_t world_size, std::vector<RankValue>& values);

// log ℓ_i where all losses are positive, else nothing.
void LogLosses(const consistency::Measures& measures, uint32_t world_size,
               std::vector<RankValue>& values);

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_RANK_METRIC_H_
