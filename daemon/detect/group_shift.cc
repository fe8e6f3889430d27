#include "daemon/detect/group_shift.h"

#include <cmath>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

constexpr size_t kGapFrames = 64;
constexpr size_t kLeastFrames = 128;

const char* SubjectOf(GroupMetric metric) {
  switch (metric) {
    case GroupMetric::kLoss:
      return "loss";
    case GroupMetric::kGradientNorm:
      return "gradient_norm";
    case GroupMetric::kDirection:
      return "direction";
  }
  return "unknown";
}

const char* QuantityOf(GroupMetric metric) {
  switch (metric) {
    case GroupMetric::kLoss:
      return "robust standard deviation of the ranks' losses";
    case GroupMetric::kGradientNorm:
      return "robust coefficient of variation of the ranks' gradient norms";
    case GroupMetric::kDirection:
      return "mean cosine between ranks' gradients";
  }
  return "value";
}

std::vector<GroupMetric> MetricsOf(Kind kind) {
  if (kind == Kind::kDirectionShift) return {GroupMetric::kDirection};
  return {GroupMetric::kLoss, GroupMetric::kGradientNorm};
}

}  // namespace

GroupShift::GroupShift(Kind kind, const GroupShiftOptions& options,
                       std::shared_ptr<const ReferenceCurve> reference)
    : kind_(kind),
      options_(options),
      reference_(std::move(reference)),
      metrics_(MetricsOf(kind)) {
  for (GroupMetric metric : metrics_) {
    const std::string subject = SubjectOf(metric);
    series_.push_back(
        {metric,
         Trend(static_cast<size_t>(options.window_frames), kGapFrames,
               kLeastFrames),
         std::nullopt,
         {.subject = subject},
         {.subject = absl::StrCat(subject, "_against_reference")}});
  }
  const size_t comparisons = reference_ == nullptr ? 1 : 2;
  threshold_ = options_.target_frames *
               static_cast<double>(2 * comparisons * series_.size());
}

void GroupShift::OnFrame(const JudgedFrame& judged, std::vector<Finding>& out) {
  const frames::Frame& frame = judged.frame;
  if (frame.world_size != world_size_) {
    Restart(Phase::kReplaced, out);
    world_size_ = frame.world_size;
    frame_ = 0;
  } else if (frame.attempt != attempt_ && frame.step <= last_step_) {
    Restart(Phase::kReplaced, out);
  }
  attempt_ = frame.attempt;
  last_step_ = frame.step;
  ++frame_;
  const GroupValues group = GroupValuesOf(judged.measures, metrics_);
  if (changes_.Take(frame, group.log_weight)) Restart(Phase::kClear, out);
  for (Series& series : series_) {
    JudgeSeries(group, series, out);
    ResolveQuiet(series, out);
  }
}

void GroupShift::OnEvent(const frames::Event& event,
                         std::vector<Finding>& out) {
  const auto* began = std::get_if<frames::AttemptBegan>(&event);
  if (began != nullptr && began->world_size_changed) {
    Restart(Phase::kReplaced, out);
    frame_ = 0;
  }
}

void GroupShift::JudgeSeries(const GroupValues& group, Series& series,
                             std::vector<Finding>& out) {
  const std::optional<double>& value = group[series.metric];
  if (!value) return;
  if (reference_ != nullptr) {
    const auto expected = reference_->At(series.metric, last_step_);
    if (expected) {
      Vote(series, series.reference, *value, {*expected, 0}, group.log_weight,
           out);
    }
  }
  if (frame_ <= static_cast<uint64_t>(options_.warmup_frames)) return;
  const std::optional<Trend::Prediction> expected =
      series.frozen ? series.frozen : series.trend.Predict();
  if (!series.frozen) series.trend.Push(*value);
  if (!expected) return;
  if (Vote(series, series.past, *value, *expected, group.log_weight, out)) {
    series.frozen = expected;
  }
}

bool GroupShift::Vote(const Series& series, Comparison& comparison,
                      double value, const Trend::Prediction& expected,
                      double log_weight, std::vector<Finding>& out) {
  bool raised = false;
  for (const int index : {0, 1}) {
    Side& side = comparison.sides[index];
    const double above =
        index == 0 ? value - expected.value : expected.value - value;
    side.test.Add(above > options_.effect + expected.error, last_step_);
    if (side.test.onset_votes() == 1) side.values = side.expected = 0;
    side.values += value;
    side.expected += expected.value;
    if (side.test.statistic() < threshold_) continue;
    if (!comparison.standing) {
      comparison.standing = true;
      comparison.first_step = side.test.onset_step();
      comparison.raised_frame = frame_;
    }
    comparison.evidence_frame = frame_;
    out.push_back(Describe(series, comparison, side, log_weight));
    side = Side();
    raised = true;
  }
  return raised;
}

Finding GroupShift::Describe(const Series& series, const Comparison& comparison,
                             const Side& side, double log_weight) const {
  const auto votes = static_cast<double>(side.test.onset_votes());
  Finding finding;
  finding.kind = kind_;
  finding.subject = comparison.subject;
  finding.attempt = attempt_;
  finding.first_step = comparison.first_step;
  finding.last_step = last_step_;
  finding.value = NaturalValue(series.metric, side.values / votes, log_weight);
  finding.expected =
      NaturalValue(series.metric, side.expected / votes, log_weight);
  const bool larger = finding.value > finding.expected;
  const bool agree_more = larger == (series.metric == GroupMetric::kDirection);
  const bool past = &comparison == &series.past;
  finding.evidence = absl::StrFormat(
      "The %s is %.3g over %s, where %.3g was expected from %s; the ranks "
      "agree %s than %s.",
      QuantityOf(series.metric), finding.value,
      Count(side.test.onset_votes(), "step"), finding.expected,
      past ? "the steps before" : "the reference run at these steps",
      agree_more ? "more" : "less", past ? "this run did" : "it did");
  return finding;
}

void GroupShift::ResolveQuiet(Series& series, std::vector<Finding>& out) {
  const auto quiet = static_cast<uint64_t>(options_.resolve_after_frames);
  const auto absorbed = static_cast<uint64_t>(options_.absorb_frames);
  for (Comparison* comparison : {&series.past, &series.reference}) {
    if (!comparison->standing) continue;
    const bool past = comparison == &series.past;
    if (frame_ - comparison->evidence_frame < quiet &&
        !(past && frame_ - comparison->raised_frame >= absorbed)) {
      continue;
    }
    Clear(*comparison, Phase::kClear, out);
    if (!past) continue;
    series.trend.Restart();
    series.frozen.reset();
  }
}

void GroupShift::Clear(Comparison& comparison, Phase phase,
                       std::vector<Finding>& out) {
  if (comparison.standing) {
    Finding finding;
    finding.kind = kind_;
    finding.phase = phase;
    finding.subject = comparison.subject;
    finding.attempt = attempt_;
    finding.first_step = comparison.first_step;
    finding.last_step = last_step_;
    out.push_back(std::move(finding));
  }
  comparison.standing = false;
  comparison.sides = {};
}

void GroupShift::Restart(Phase phase, std::vector<Finding>& out) {
  for (Series& series : series_) {
    Clear(series.past, phase, out);
    Clear(series.reference, phase, out);
    series.trend.Restart();
    series.frozen.reset();
  }
}

}  // namespace muster::detect
