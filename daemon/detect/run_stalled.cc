#include "daemon/detect/run_stalled.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"

namespace muster::detect {
namespace {

Finding MakeFinding(Phase phase) {
  Finding finding;
  finding.kind = Kind::kRunStalled;
  finding.phase = phase;
  finding.subject = "reports";
  return finding;
}

}  // namespace

RunStalled::RunStalled(const DetectOptions& options)
    : after_(options.run_stalled_after) {}

RunStalled::Source& RunStalled::SourceOf(uint32_t rank) {
  if (rank >= sources_.size()) sources_.resize(rank + 1);
  return sources_[rank];
}

absl::Duration RunStalled::Deadline() const {
  return std::max(after_, std::min(2 * longest_pause_, 4 * after_));
}

void RunStalled::OnFrame(const JudgedFrame& judged, std::vector<Finding>& out) {
  const frames::Frame& frame = judged.frame;
  if (frame.reports.empty()) return;
  if (running_ && !resumed_) {
    longest_pause_ =
        std::max(longest_pause_, frame.first_arrival - last_arrival_);
  }
  // Frames are judged in step order, not in the order of their last reports.
  last_arrival_ = running_ ? std::max(last_arrival_, frame.last_arrival)
                           : frame.last_arrival;
  // Frames that the end of the run closes do not begin it again.
  running_ = running_ || frame.reason != frames::CloseReason::kRunEnded;
  resumed_ = false;
  attempt_ = frame.attempt;
  last_step_ = frame.step;
  Clear(out);
}

void RunStalled::OnTick(frames::Instant now, std::vector<Finding>& out) {
  const absl::Duration pause = now - last_arrival_;
  if (!running_ || pause < Deadline()) return;
  raised_ = true;
  const auto connected =
      std::count_if(sources_.begin(), sources_.end(), [](const Source& source) {
        return source.connected && !source.departed;
      });
  Finding finding = MakeFinding(Phase::kRaise);
  finding.attempt = attempt_;
  finding.first_step = finding.last_step = last_step_;
  finding.value = absl::ToDoubleSeconds(pause);
  finding.expected = absl::ToDoubleSeconds(Deadline());
  finding.evidence = absl::StrFormat(
      "No rank has reported for %.0f seconds, since step %d; the longest pause "
      "before was %.1f seconds. %s",
      finding.value, last_step_, absl::ToDoubleSeconds(longest_pause_),
      connected == 0 ? std::string("No rank is connected.")
                     : absl::StrFormat("%d of %d are connected.", connected,
                                       sources_.size()));
  out.push_back(std::move(finding));
}

void RunStalled::OnEvent(const frames::Event& event,
                         std::vector<Finding>& out) {
  if (const auto* tick = std::get_if<frames::Tick>(&event)) {
    OnTick(tick->now, out);
  } else if (const auto* up = std::get_if<frames::SourceUp>(&event)) {
    Source& source = SourceOf(up->info.rank);
    const bool is_new = source.incarnation != up->info.incarnation;
    source = {up->info.incarnation, true, false};
    if (!is_new) return;
    last_arrival_ = std::max(last_arrival_, up->at);
    resumed_ = true;
    Clear(out);
  } else if (const auto* down = std::get_if<frames::SourceDown>(&event)) {
    if (down->reason == frames::DownReason::kSuperseded) return;
    Source& source = SourceOf(down->rank);
    source.connected = false;
    source.departed = down->reason == frames::DownReason::kDeparted;
  } else if (std::holds_alternative<frames::RunEnded>(event)) {
    running_ = false;
    Clear(out);
  } else if (const auto* began = std::get_if<frames::AttemptBegan>(&event)) {
    resumed_ = true;
    if (began->world_size_changed) sources_.resize(began->world_size);
  }
}

void RunStalled::Clear(std::vector<Finding>& out) {
  if (!std::exchange(raised_, false)) return;
  Finding finding = MakeFinding(Phase::kClear);
  finding.attempt = attempt_;
  finding.first_step = finding.last_step = last_step_;
  out.push_back(std::move(finding));
}

}  // namespace muster::detect
