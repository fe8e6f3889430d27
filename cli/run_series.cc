#include "cli/run_series.h"

#include <cmath>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/history/reader.h"

namespace muster::cli {
namespace {

std::optional<double> Finite(std::optional<double> value) {
  if (value && std::isfinite(*value)) return value;
  return std::nullopt;
}

// From a standard deviation that was divided by the count.
double Unbiased(uint32_t count) {
  const double n = count;
  const double c4 = std::sqrt(2 / (n - 1)) *
                    std::exp(std::lgamma(n / 2) - std::lgamma((n - 1) / 2));
  return std::sqrt(n / (n - 1)) / c4;
}

}  // namespace

void AddStep(const consistency::Measures& measures, RunSeries& series) {
  StepValues step;
  step.attempt = measures.attempt;
  const auto& loss = measures.loss;
  if (loss && loss->count >= 2) {
    step[SeriesMetric::kLossDispersion] =
        Finite(loss->stddev * Unbiased(loss->count));
  }
  const auto& norm = measures.gradient_norm;
  if (norm && norm->count >= 2 && norm->cv()) {
    step[SeriesMetric::kNormDispersion] =
        Finite(*norm->cv() * Unbiased(norm->count));
  }
  step[SeriesMetric::kCosine] = Finite(measures.cosine_mean);
  step[SeriesMetric::kLoss] = Finite(measures.loss_mean);
  const auto [at, added] = series.emplace(measures.step, step);
  if (!added && at->second.attempt <= step.attempt) at->second = step;
}

absl::Status ReadMeasures(
    const std::string& path, const std::string& run,
    const std::function<void(const consistency::Measures&)>& take) {
  const auto reader = history::Reader::Open(path);
  if (!reader.ok()) return reader.status();
  const auto stored = (*reader)->Runs();
  if (!stored.ok()) return stored.status();
  std::optional<int64_t> newest;
  std::vector<std::string> names;
  for (const history::StoredRun& each : *stored) {
    if (each.name == run) newest = each.run;
    names.push_back(each.name);
  }
  if (!newest) {
    return absl::NotFoundError(absl::StrCat(
        path, ": no run '", run,
        "'; it has: ", names.empty() ? "none" : absl::StrJoin(names, ", ")));
  }
  return (*reader)->ReadEntries(
      *newest, 0, history::Reader::kEnd, history::What::kAll,
      [&](const history::Entry& entry) {
        const auto* judged = std::get_if<history::Judged>(&entry.body);
        if (judged != nullptr) take(*judged->measures);
        return absl::OkStatus();
      });
}

absl::StatusOr<RunSeries> ReadSeries(const std::string& path,
                                     const std::string& run) {
  RunSeries series;
  absl::Status status =
      ReadMeasures(path, run, [&](const consistency::Measures& measures) {
        AddStep(measures, series);
      });
  if (!status.ok()) return status;
  if (series.empty()) {
    return absl::NotFoundError(
        absl::StrCat(path, ": run '", run, "' has no frame"));
  }
  return series;
}

}  // namespace muster::cli
