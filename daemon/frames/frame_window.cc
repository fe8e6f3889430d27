#include "daemon/frames/frame_window.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace muster::frames {

void FrameWindow::Begin(uint32_t attempt, uint32_t world_size,
                        uint32_t reached_all) {
  attempt_ = attempt;
  world_size_ = world_size;
  reached_all_ = reached_all;
  bytes_ = 0;
  last_closed_.reset();
  frames_.clear();
}

void FrameWindow::Move(Reach from, Reach to) {
  const auto [low, high] = std::minmax(from, to);
  for (auto it = frames_.lower_bound(low);
       it != frames_.end() && it->first < high; ++it) {
    if (from < to) {
      ++it->second.reached;
    } else {
      --it->second.reached;
    }
  }
  if (from == kReachedAll) --reached_all_;
  if (to == kReachedAll) ++reached_all_;
}

void FrameWindow::Add(Report&& report, Instant now) {
  const auto next = frames_.lower_bound(report.step);
  auto it = next;
  if (next == frames_.end() || next->first != report.step) {
    // By the invariant no rank has stopped between this step and the next open
    // one, so that whoever reached this one has reached that one too.
    Open open;
    open.reached = next == frames_.end() ? reached_all_ : next->second.reached;
    open.first_arrival = now;
    it = frames_.emplace_hint(next, report.step, std::move(open));
  }
  it->second.last_arrival = now;
  bytes_ += BytesOf(report);
  const uint32_t rank = report.rank;
  it->second.reports.emplace(rank, std::move(report));
}

void FrameWindow::Void(uint32_t rank) {
  for (auto frame = frames_.begin(); frame != frames_.end();) {
    auto& reports = frame->second.reports;
    const auto report = reports.find(rank);
    if (report != reports.end()) {
      bytes_ -= BytesOf(report->second);
      reports.erase(report);
    }
    frame = reports.empty() ? frames_.erase(frame) : std::next(frame);
  }
}

std::vector<FrameWindow::OpenFrame> FrameWindow::OpenFrames() const {
  std::vector<OpenFrame> open;
  for (const auto& [step, frame] : frames_) {
    open.push_back({step, frame.first_arrival, frame.last_arrival});
  }
  return open;
}

void FrameWindow::VisitReports(
    const std::function<void(const Report&)>& visit) const {
  for (const auto& [step, frame] : frames_) {
    for (const auto& [rank, report] : frame.reports) visit(report);
  }
}

void FrameWindow::RestoreFrame(const OpenFrame& frame, uint32_t reached) {
  Open& open = frames_[frame.step];
  open.reached = reached;
  open.first_arrival = frame.first_arrival;
  open.last_arrival = frame.last_arrival;
}

void FrameWindow::RestoreReport(Report report) {
  const auto frame = frames_.find(report.step);
  if (frame == frames_.end()) return;
  bytes_ += BytesOf(report);
  const uint32_t rank = report.rank;
  frame->second.reports.emplace(rank, std::move(report));
}

std::shared_ptr<const Frame> FrameWindow::CloseOldest(CloseReason reason,
                                                      Instant now) {
  const auto oldest = frames_.begin();
  auto frame = std::make_shared<Frame>();
  frame->attempt = attempt_;
  frame->step = oldest->first;
  frame->world_size = world_size_;
  frame->reports.reserve(oldest->second.reports.size());
  for (auto& [rank, report] : oldest->second.reports) {
    bytes_ -= BytesOf(report);
    frame->reports.push_back(std::move(report));
  }
  frame->reason = reason;
  frame->first_arrival = oldest->second.first_arrival;
  frame->last_arrival = oldest->second.last_arrival;
  frame->closed_at = now;
  last_closed_ = oldest->first;
  frames_.erase(oldest);
  return frame;
}

std::optional<uint64_t> FrameWindow::NewestOpenedBy(Instant cutoff) const {
  for (auto it = frames_.rbegin(); it != frames_.rend(); ++it) {
    if (it->second.first_arrival <= cutoff) return it->first;
  }
  return std::nullopt;
}

}  // namespace muster::frames
