#include "daemon/runs/judge.h"

#include <limits>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace muster::runs {
namespace {

// As a person computes it: one rank's NaN makes it NaN. Measures leave such
// ranks out.
std::optional<double> MeanLossOfAll(const consistency::Measures& measures) {
  for (const consistency::RankMeasures& rank : measures.ranks) {
    if (rank.loss_nonfinite) return std::numeric_limits<double>::quiet_NaN();
  }
  return measures.loss_mean;
}

}  // namespace

Judge::Judge(const detect::DetectOptions& detect,
             const alert::AlertOptions& alert)
    : alert_options_(alert),
      kinds_(detect.kinds),
      detectors_(detect::MakeDetectors(detect)),
      alerts_(std::in_place, alert, detect.kinds) {}

std::shared_ptr<const consistency::Measures> Judge::TakeFrame(
    const frames::Frame& frame, absl::Time wall,
    std::vector<alert::Alert>& changes) {
  auto measures =
      std::make_shared<const consistency::Measures>(baseline_.Measure(frame));
  TakeMeasured(frame, *measures, wall, changes);
  return measures;
}

void Judge::TakeMeasured(const frames::Frame& frame,
                         const consistency::Measures& measures, absl::Time wall,
                         std::vector<alert::Alert>& changes) {
  loss_band_.Take(frame.step, MeanLossOfAll(measures));
  for (const auto& detector : detectors_) {
    detector->OnFrame({frame, measures}, findings_);
  }
  TakeFindings(wall, changes);
  if (!orphans_.empty()) ResolveOrphans(frame, wall, changes);
  if (!muted_) alerts_->EndFrame(wall, changes);
}

void Judge::TakeEvent(const frames::Event& event, absl::Time wall,
                      std::vector<alert::Alert>& changes) {
  const auto* began = std::get_if<frames::AttemptBegan>(&event);
  if (began != nullptr && began->world_size_changed) baseline_.Reset();
  for (const auto& detector : detectors_) detector->OnEvent(event, findings_);
  TakeFindings(wall, changes);
  if (std::holds_alternative<frames::RunEnded>(event)) {
    raised_.clear();
    orphans_.clear();
    if (!muted_) alerts_->ResolveAll(wall, changes);
  }
}

void Judge::TakeEntry(const history::Entry& entry,
                      std::vector<alert::Alert>& changes) {
  std::visit(
      [&](const auto& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, history::Judged>) {
          TakeMeasured(*body.frame, *body.measures, entry.wall, changes);
        } else if constexpr (std::is_same_v<Body, history::Ticks>) {
          for (const history::Ticks::One& tick : body.ticks) {
            TakeEvent(frames::Tick{tick.now}, tick.wall, changes);
          }
        } else if constexpr (!std::is_same_v<Body, history::Resumed>) {
          TakeEvent(body, entry.wall, changes);
        }
      },
      entry.body);
}

void Judge::Resume(alert::AlertBook::Saved alerts) {
  for (const alert::Alert& alert : alerts.alive) {
    for (const alert::Evidence& piece : alert.evidence) {
      EventKey key{alert.finding.kind, piece.subject, alert.finding.ranks};
      if (piece.standing && raised_.count(key) == 0) {
        orphans_.insert(std::move(key));
      }
    }
  }
  raised_.clear();
  alerts_.emplace(alert_options_, kinds_, std::move(alerts));
  frames_since_resume_ = 0;
  muted_ = false;
}

void Judge::TakeFindings(absl::Time wall, std::vector<alert::Alert>& changes) {
  for (const detect::Finding& finding : findings_) {
    if (muted_) {
      if (finding.phase == detect::Phase::kRaise) {
        raised_.insert(KeyOf(finding));
      } else {
        raised_.erase(KeyOf(finding));
      }
      continue;
    }
    if (!orphans_.empty()) orphans_.erase(KeyOf(finding));
    alerts_->Take(finding, loss_band_.Silent(finding.first_step), wall,
                  changes);
  }
  findings_.clear();
}

void Judge::ResolveOrphans(const frames::Frame& frame, absl::Time wall,
                           std::vector<alert::Alert>& changes) {
  if (++frames_since_resume_ < kOrphanFrames) return;
  for (const auto& [kind, subject, ranks] : orphans_) {
    detect::Finding cleared;
    cleared.kind = kind;
    cleared.phase = detect::Phase::kClear;
    cleared.subject = subject;
    cleared.ranks = ranks;
    cleared.attempt = frame.attempt;
    cleared.last_step = frame.step;
    alerts_->Take(cleared, false, wall, changes);
  }
  orphans_.clear();
}

}  // namespace muster::runs
