#include "daemon/runs/judge.h"

#include <variant>

namespace muster::runs {

Judge::Judge(const detect::DetectOptions& detect,
             const alert::AlertOptions& alert)
    : detectors_(detect::MakeDetectors(detect)), alerts_(alert, detect.kinds) {}

std::shared_ptr<const consistency::Measures> Judge::TakeFrame(
    const frames::Frame& frame, absl::Time wall,
    std::vector<alert::Alert>& changes) {
  auto measures =
      std::make_shared<const consistency::Measures>(baseline_.Measure(frame));
  silent_ = loss_band_.Inside(measures->loss_mean);
  for (const auto& detector : detectors_) {
    detector->OnFrame({frame, *measures}, findings_);
  }
  TakeFindings(wall, changes);
  alerts_.EndFrame(wall, changes);
  return measures;
}

void Judge::TakeEvent(const frames::Event& event, absl::Time wall,
                      std::vector<alert::Alert>& changes) {
  const auto* began = std::get_if<frames::AttemptBegan>(&event);
  if (began != nullptr && began->world_size_changed) baseline_.Reset();
  for (const auto& detector : detectors_) detector->OnEvent(event, findings_);
  TakeFindings(wall, changes);
  if (std::holds_alternative<frames::RunEnded>(event)) {
    alerts_.ResolveAll(wall, changes);
  }
}

void Judge::TakeFindings(absl::Time wall, std::vector<alert::Alert>& changes) {
  for (const detect::Finding& finding : findings_) {
    alerts_.Take(finding, silent_, wall, changes);
  }
  findings_.clear();
}

}  // namespace muster::runs
