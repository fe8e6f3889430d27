// `muster compare`: does a stored run look like a reference?
#ifndef MUSTER_CLI_COMPARE_H_
#define MUSTER_CLI_COMPARE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/block_bootstrap.h"
#include "cli/options.h"
#include "cli/run_series.h"

namespace muster::cli {

// Differences that matter in practice: dispersions by more than this factor,
// mean cosines by more than this, losses by more than this share of the
// reference's.
inline constexpr double kRatioMargin = 1.1;
inline constexpr double kCosineMargin = 0.02;
inline constexpr double kLossMargin = 0.01;

enum class Agreement {
  kAgrees,   // the confidence interval lies within the margin
  kOpen,     // it crosses the margin: more steps would tell
  kDiffers,  // it lies beyond the margin
  kUnknown,  // too few steps have it in both runs
};

struct MetricComparison {
  SeriesMetric metric = SeriesMetric::kLoss;
  std::optional<Estimate> estimate;  // a: the run, b: the reference
  double margin = 0;  // a factor for the dispersions, else absolute
  Agreement agreement = Agreement::kUnknown;
};

struct Comparison {
  size_t common_steps = 0;
  uint64_t first_step = 0;  // of the common ones
  uint64_t last_step = 0;
  std::vector<MetricComparison> metrics;  // one for each of kSeriesMetrics

  // One of the four lies beyond its margin. Where the truth lies within, each
  // does so in at most 5 % of comparisons, as far as the intervals hold.
  bool differs() const;
  // "agrees with the reference" or "differs: loss dispersion 1.4 times the
  // reference's, …", and what is open.
  std::string Verdict() const;
};

// Ratio of the dispersions, difference of cosine and loss (run − reference)
// over the steps that both have.
Comparison Compare(const RunSeries& run, const RunSeries& reference);

// Reads both. An error is one line: of a history, or that the runs have no
// common steps, or too few of them.
absl::StatusOr<Comparison> CompareStored(const Options& options);

// One object, what `muster compare --json` prints.
std::string ComparisonJson(const Options& options,
                           const Comparison& comparison);

// A verdict first, then a table; or that object.
std::string FormatComparison(const Options& options,
                             const Comparison& comparison);

}  // namespace muster::cli

#endif  // MUSTER_CLI_COMPARE_H_
