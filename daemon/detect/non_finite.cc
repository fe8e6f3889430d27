#include "daemon/detect/non_finite.h"

#include <cmath>
#include <variant>

#include "absl/strings/str_cat.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

constexpr int kClearAfterReports = 16;

const char* SpellLoss(double loss) {
  if (std::isnan(loss)) return "NaN";
  return loss > 0 ? "+infinity" : "-infinity";
}

}  // namespace

NonFinite::NonFinite(const DetectOptions& options)
    : scaler_overflow_steps_(options.scaler_overflow_steps) {}

void NonFinite::OnFrame(const JudgedFrame& judged, std::vector<Finding>& out) {
  attempt_ = judged.frame.attempt;
  last_step_ = judged.frame.step;
  for (const frames::Report& report : judged.frame.reports) {
    Judge(Subject::kLoss, judged.frame, report, out);
    Judge(Subject::kGradient, judged.frame, report, out);
  }
}

void NonFinite::Judge(Subject subject, const frames::Frame& frame,
                      const frames::Report& report, std::vector<Finding>& out) {
  const bool is_loss = subject == Subject::kLoss;
  const bool bad = is_loss ? report.loss && !std::isfinite(*report.loss)
                           : report.nonfinite_count > 0;
  const Key key(subject, report.rank);
  auto it = episodes_.find(key);
  if (!bad) {
    if (it == episodes_.end()) return;
    it->second.consecutive = 0;
    ++it->second.finite;
    if (it->second.raised && it->second.finite < kClearAfterReports) return;
    Clear(key, it->second, frame.attempt, frame.step, out);
    episodes_.erase(it);
    return;
  }
  if (it == episodes_.end()) {
    it = episodes_.emplace(key, Episode{}).first;
    it->second.first_step = frame.step;
  }
  Episode& episode = it->second;
  episode.finite = 0;
  ++episode.consecutive;
  const bool scaled = report.gradient_scale.has_value();
  if (!episode.raised && scaled &&
      episode.consecutive < scaler_overflow_steps_) {
    return;
  }
  episode.raised = true;

  Finding finding;
  finding.kind = Kind::kNonFinite;
  finding.subject = is_loss ? "loss" : "gradient";
  finding.ranks = {report.rank};
  finding.attempt = frame.attempt;
  finding.first_step = episode.first_step;
  finding.last_step = frame.step;
  finding.value = is_loss ? 1 : static_cast<double>(report.nonfinite_count);
  finding.expected = 0;
  finding.evidence = absl::StrCat("Rank ", report.rank, "'s ", finding.subject);
  if (is_loss) {
    absl::StrAppend(&finding.evidence, " is ", SpellLoss(*report.loss));
  } else {
    absl::StrAppend(&finding.evidence, " has ",
                    Count(report.nonfinite_count, "NaN or infinite element"));
    if (report.elements_observed > 0) {
      absl::StrAppend(&finding.evidence, " of ", report.elements_observed);
    }
  }
  absl::StrAppend(&finding.evidence, " at step ", frame.step);
  if (scaled) {
    absl::StrAppend(&finding.evidence, ", in ",
                    Count(episode.consecutive, "step"),
                    " in a row under a loss scaler");
  }
  uint64_t origin_step = episode.first_step;
  uint32_t origin_rank = report.rank;
  for (const auto& [other, life] : episodes_) {
    if (life.raised && life.first_step < origin_step) {
      origin_step = life.first_step;
      origin_rank = other.second;
    }
  }
  if (origin_rank != report.rank) {
    absl::StrAppend(&finding.evidence, "; rank ", origin_rank,
                    " was the first, at step ", origin_step);
  }
  absl::StrAppend(&finding.evidence, ".");
  out.push_back(std::move(finding));
}

void NonFinite::OnEvent(const frames::Event& event, std::vector<Finding>& out) {
  const auto* began = std::get_if<frames::AttemptBegan>(&event);
  if (began == nullptr || !began->world_size_changed) return;
  for (const auto& [key, episode] : episodes_) {
    Clear(key, episode, attempt_, last_step_, out);
  }
  episodes_.clear();
}

void NonFinite::Clear(const Key& key, const Episode& episode, uint32_t attempt,
                      uint64_t step, std::vector<Finding>& out) const {
  if (!episode.raised) return;
  Finding finding;
  finding.kind = Kind::kNonFinite;
  finding.phase = Phase::kClear;
  finding.subject = key.first == Subject::kLoss ? "loss" : "gradient";
  finding.ranks = {key.second};
  finding.attempt = attempt;
  finding.first_step = episode.first_step;
  finding.last_step = step;
  out.push_back(std::move(finding));
}

}  // namespace muster::detect
