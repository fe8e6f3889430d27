// What `muster compare` reads of a stored run: a few numbers for each step.
#ifndef MUSTER_CLI_RUN_SERIES_H_
#define MUSTER_CLI_RUN_SERIES_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/consistency/measures.h"

namespace muster::cli {

enum class SeriesMetric {
  kLossDispersion,  // standard deviation of the ranks' losses
  kNormDispersion,  // coefficient of variation of their gradient norms
  kCosine,          // mean cosine of pairs of their directions
  kLoss,            // mean loss
};
inline constexpr std::array<SeriesMetric, 4> kSeriesMetrics = {
    SeriesMetric::kLossDispersion, SeriesMetric::kNormDispersion,
    SeriesMetric::kCosine, SeriesMetric::kLoss};

// Finite; absent where it was not measured. Both dispersions are those of two
// ranks at least, with Bessel's correction and divided by c₄(n) =
// √(2/(n−1))·Γ(n/2)/Γ((n−1)/2): for Gaussian values their expectation does not
// depend on the number n of ranks, so that runs of different size compare.
struct StepValues {
  uint32_t attempt = 0;
  std::array<std::optional<double>, kSeriesMetrics.size()> values;

  std::optional<double>& operator[](SeriesMetric metric) {
    return values[static_cast<size_t>(metric)];
  }
  const std::optional<double>& operator[](SeriesMetric metric) const {
    return values[static_cast<size_t>(metric)];
  }
};

// By step. Of a step that was run in several attempts, the latest counts.
using RunSeries = std::map<uint64_t, StepValues>;
void AddStep(const consistency::Measures& measures, RunSeries& series);

// Tells the measures of each frame, in order, of the newest run of that name in
// the history at `path`. An error is one line that names the file: of the
// history, or that no run has the name.
absl::Status ReadMeasures(
    const std::string& path, const std::string& run,
    const std::function<void(const consistency::Measures&)>& take);
// Of that run. NOT_FOUND too if it has no frame.
absl::StatusOr<RunSeries> ReadSeries(const std::string& path,
                                     const std::string& run);

}  // namespace muster::cli

#endif  // MUSTER_CLI_RUN_SERIES_H_
