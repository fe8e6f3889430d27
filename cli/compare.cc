#include "cli/compare.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/format.h"
#include "cli/table.h"

namespace muster::cli {
namespace {

struct MetricText {
  Contrast contrast;
  const char* name;
  const char* json;
};

MetricText TextOf(SeriesMetric metric) {
  switch (metric) {
    case SeriesMetric::kLossDispersion:
      return {Contrast::kRatio, "loss dispersion", "lossDispersion"};
    case SeriesMetric::kNormDispersion:
      return {Contrast::kRatio, "norm dispersion", "normDispersion"};
    case SeriesMetric::kCosine:
      return {Contrast::kDifference, "mean cosine", "meanCosine"};
    case SeriesMetric::kLoss:
      break;
  }
  return {Contrast::kDifference, "mean loss", "meanLoss"};
}

const char* AgreementText(Agreement agreement) {
  switch (agreement) {
    case Agreement::kAgrees:
      return "agrees";
    case Agreement::kOpen:
      return "open";
    case Agreement::kDiffers:
      return "differs";
    case Agreement::kUnknown:
      break;
  }
  return "unknown";
}

double MarginOf(SeriesMetric metric, const Estimate& estimate) {
  if (TextOf(metric).contrast == Contrast::kRatio) return kRatioMargin;
  if (metric == SeriesMetric::kCosine) return kCosineMargin;
  return kLossMargin * std::abs(estimate.b);
}

Agreement AgreementOf(SeriesMetric metric, const Estimate& estimate,
                      double margin) {
  const bool ratio = TextOf(metric).contrast == Contrast::kRatio;
  const double lowest = ratio ? 1 / margin : -margin;
  if (estimate.low > margin || estimate.high < lowest) {
    return Agreement::kDiffers;
  }
  return estimate.low >= lowest && estimate.high <= margin ? Agreement::kAgrees
                                                           : Agreement::kOpen;
}

MetricComparison CompareMetric(SeriesMetric metric, const RunSeries& run,
                               const RunSeries& reference) {
  std::vector<double> a;
  std::vector<double> b;
  for (const auto& [step, values] : run) {
    const auto other = reference.find(step);
    if (other == reference.end()) continue;
    if (!values[metric] || !other->second[metric]) continue;
    a.push_back(*values[metric]);
    b.push_back(*other->second[metric]);
  }
  MetricComparison comparison{.metric = metric};
  comparison.estimate = Bootstrap(TextOf(metric).contrast, a, b);
  if (!comparison.estimate) return comparison;
  comparison.margin = MarginOf(metric, *comparison.estimate);
  comparison.agreement =
      AgreementOf(metric, *comparison.estimate, comparison.margin);
  return comparison;
}

std::string Difference(const MetricComparison& metric) {
  const MetricText text = TextOf(metric.metric);
  const double value = metric.estimate->value;
  if (text.contrast == Contrast::kRatio) {
    return absl::StrCat(text.name, " ", Number(value),
                        " times the reference's");
  }
  return absl::StrCat(text.name, value < 0 ? " lower by " : " higher by ",
                      Number(std::abs(value)));
}

std::string Steps(const RunSeries& series) {
  return absl::StrCat(series.begin()->first, " … ", series.rbegin()->first);
}

std::string FormatTable(const Comparison& comparison) {
  Table table;
  table.AddColumn("measure", Align::kLeft);
  for (const char* title :
       {"run", "reference", "compared", "95 % interval", "steps", "block"}) {
    table.AddColumn(title, Align::kRight);
  }
  table.AddColumn("verdict", Align::kLeft);
  for (const MetricComparison& metric : comparison.metrics) {
    const MetricText text = TextOf(metric.metric);
    const auto& estimate = metric.estimate;
    if (!estimate) {
      table.AddRow({text.name, "-", "-", "-", "-", "-", "-", "unknown"});
      continue;
    }
    const bool ratio = text.contrast == Contrast::kRatio;
    table.AddRow(
        {text.name, Number(estimate->a), Number(estimate->b),
         absl::StrCat(ratio ? "×" : (estimate->value < 0 ? "" : "+"),
                      Number(estimate->value)),
         absl::StrCat(Number(estimate->low), " … ", Number(estimate->high)),
         absl::StrCat(estimate->pairs), absl::StrCat(estimate->block),
         AgreementText(metric.agreement)});
  }
  return table.ToString();
}

}  // namespace

bool Comparison::differs() const {
  return std::any_of(metrics.begin(), metrics.end(), [](const auto& metric) {
    return metric.agreement == Agreement::kDiffers;
  });
}

std::string Comparison::Verdict() const {
  std::vector<std::string> differences;
  std::vector<std::string> open;
  for (const MetricComparison& metric : metrics) {
    if (metric.agreement == Agreement::kDiffers) {
      differences.push_back(Difference(metric));
    } else if (metric.agreement == Agreement::kOpen) {
      open.push_back(TextOf(metric.metric).name);
    }
  }
  std::string verdict =
      differences.empty()
          ? "agrees with the reference"
          : absl::StrCat("differs: ", absl::StrJoin(differences, ", "));
  if (!open.empty()) {
    absl::StrAppend(&verdict, "; open: ", absl::StrJoin(open, ", "));
  }
  return verdict;
}

Comparison Compare(const RunSeries& run, const RunSeries& reference) {
  Comparison comparison;
  for (const auto& [step, values] : run) {
    if (!reference.contains(step)) continue;
    if (comparison.common_steps++ == 0) comparison.first_step = step;
    comparison.last_step = step;
  }
  for (const SeriesMetric metric : kSeriesMetrics) {
    comparison.metrics.push_back(CompareMetric(metric, run, reference));
  }
  return comparison;
}

absl::StatusOr<Comparison> CompareStored(const Options& options) {
  const std::string& other = options.reference_history.empty()
                                 ? options.history
                                 : options.reference_history;
  const auto run = ReadSeries(options.history, options.run);
  if (!run.ok()) return run.status();
  const auto reference = ReadSeries(other, options.reference);
  if (!reference.ok()) return reference.status();
  Comparison comparison = Compare(*run, *reference);
  const auto error = [&](const std::string& what) {
    return absl::FailedPreconditionError(absl::StrCat(
        "run '", options.run, "' of ", options.history, " (steps ", Steps(*run),
        ") and reference '", options.reference, "' of ", other, " (steps ",
        Steps(*reference), ") have ", what));
  };
  if (comparison.common_steps == 0) return error("no common steps");
  const bool none = std::all_of(
      comparison.metrics.begin(), comparison.metrics.end(),
      [](const MetricComparison& metric) { return !metric.estimate; });
  if (none) {
    return error(absl::StrCat(comparison.common_steps,
                              " common steps, but nothing that was measured in "
                              "both on ",
                              kLeastPairs, " of them"));
  }
  return comparison;
}

std::string ComparisonJson(const Options& options,
                           const Comparison& comparison) {
  google::protobuf::Struct object;
  auto& fields = *object.mutable_fields();
  fields["run"].set_string_value(options.run);
  fields["reference"].set_string_value(options.reference);
  fields["differs"].set_bool_value(comparison.differs());
  fields["verdict"].set_string_value(comparison.Verdict());
  fields["commonSteps"].set_number_value(
      static_cast<double>(comparison.common_steps));
  fields["firstStep"].set_number_value(
      static_cast<double>(comparison.first_step));
  fields["lastStep"].set_number_value(
      static_cast<double>(comparison.last_step));
  for (const MetricComparison& metric : comparison.metrics) {
    const MetricText text = TextOf(metric.metric);
    auto& row = *fields[text.json].mutable_struct_value()->mutable_fields();
    row["verdict"].set_string_value(AgreementText(metric.agreement));
    if (!metric.estimate) continue;
    const Estimate& estimate = *metric.estimate;
    const bool ratio = text.contrast == Contrast::kRatio;
    row["run"].set_number_value(estimate.a);
    row["reference"].set_number_value(estimate.b);
    row[ratio ? "ratio" : "difference"].set_number_value(estimate.value);
    row["low"].set_number_value(estimate.low);
    row["high"].set_number_value(estimate.high);
    row["margin"].set_number_value(metric.margin);
    row["steps"].set_number_value(static_cast<double>(estimate.pairs));
    row["block"].set_number_value(static_cast<double>(estimate.block));
  }
  return FormatJson(object);
}

std::string FormatComparison(const Options& options,
                             const Comparison& comparison) {
  if (options.json) return ComparisonJson(options, comparison);
  return absl::StrCat(Printable(options.run), " ", comparison.Verdict(), "\n",
                      comparison.common_steps, " common steps, ",
                      comparison.first_step, " … ", comparison.last_step,
                      "; reference: ", Printable(options.reference), "\n\n",
                      FormatTable(comparison));
}

}  // namespace muster::cli
