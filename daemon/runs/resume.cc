// How a run goes on after a restart of the daemon.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/runs/replay.h"
#include "daemon/runs/run.h"

namespace muster::runs {
namespace {

// What the fresh judge is fed with: enough for every baseline, and little
// enough to be done within seconds, however many ranks there are.
constexpr int64_t kFrames = 4096;
constexpr int64_t kFrameBytes = int64_t{64} << 20;
constexpr int64_t kEvents = 65536;
// What is measured against the past forgets within some hundred frames.
constexpr int64_t kFramesWithSketches = 512;
constexpr int64_t kFrameBytesWithSketches = int64_t{4} << 20;

// Alerts that are over, as they are shown.
std::deque<alert::Alert> ResolvedOf(
    const std::vector<history::AlertChange>& changes, int keep) {
  std::deque<alert::Alert> resolved;
  for (const history::AlertChange& change : changes) {
    if (change.alert.state != alert::State::kResolved ||
        change.alert.fired == absl::InfinitePast()) {
      continue;
    }
    resolved.push_back(change.alert);
    if (resolved.size() > static_cast<size_t>(std::max(keep, 0))) {
      resolved.pop_front();
    }
  }
  return resolved;
}

}  // namespace

absl::Status Run::Resume(const history::Reader& reader,
                         const history::StoredRun& stored) {
  const auto checkpoint = reader.LastCheckpoint(stored.run);
  if (!checkpoint.ok()) return checkpoint.status();
  if (*checkpoint == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("run ", stored.run, " has no checkpoint"));
  }
  const history::Checkpoint& from = **checkpoint;
  const auto window =
      reader.NewestWindow(stored.run, kFrames, kFrameBytes, kEvents);
  if (!window.ok()) return window.status();
  const auto whole = reader.NewestWindow(stored.run, kFramesWithSketches,
                                         kFrameBytesWithSketches, 0);
  if (!whole.ok()) return whole.status();
  const auto changes = reader.Alerts(stored.run);
  if (!changes.ok()) return changes.status();

  ahead_ = from.now - machine_clock_.monotonic();
  last_now_ = from.now;
  sketch_ = from.sketch;
  recorder_.Continue(stored.run, from);
  const history::Resumed resumed{.first_event = window->first_event,
                                 .first_frame = window->first_frame,
                                 .configuration = options_.configuration,
                                 .at = from.now};
  absl::Status status = FeedMuted(
      reader, stored.run, resumed, whole->first_frame, from.next_position,
      judge_, [this](const history::Judged& judged, absl::Time wall) {
        ShowStored(judged, wall);
      });
  if (!status.ok()) return status;
  alert::AlertBook::Saved alerts = from.alerts;
  alerts.resolved = ResolvedOf(*changes, options_.alert.keep_resolved);
  judge_.Resume(std::move(alerts));
  recorder_.Add(resumed, machine_clock_.wall(), changes_, 0);

  std::vector<frames::Report> open;
  for (const auto& report : from.open_reports) open.push_back(report->report);
  assembler_.Restore(from.assembler, std::move(open), from.now);
  JudgeEvents();
  Submit();
  if (!changes_.empty()) ShowAlerts();
  Publish();
  return absl::OkStatus();
}

void Run::ShowStored(const history::Judged& judged, absl::Time wall) {
  const frames::Frame& frame = *judged.frame;
  if (HasSketches(frame)) judge_.Remember(frame);
  store_->Append({judged.measures, judged.frame,
                  frame.reason == frames::CloseReason::kSuperseded, wall});
  shown_ranks_.Take(*judged.measures);
  draft_.newest = judged.measures;
  draft_.newest_time = wall;
}

}  // namespace muster::runs
