#include "daemon/detect/rank_missing.h"

#include <utility>
#include <variant>

#include "absl/strings/str_format.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

// In step with the others a rank is at most a frame or two behind.
constexpr uint64_t kAbsentFrames = 3;

Finding MakeFinding(uint32_t rank, Phase phase) {
  Finding finding;
  finding.kind = Kind::kRankMissing;
  finding.phase = phase;
  finding.subject = "reports";
  finding.ranks = {rank};
  return finding;
}

}  // namespace

RankMissing::RankMissing(const DetectOptions& options)
    : rank_missing_after_(options.rank_missing_after) {}

RankMissing::RankState& RankMissing::State(uint32_t rank) {
  if (rank >= ranks_.size()) ranks_.resize(rank + 1);
  return ranks_[rank];
}

void RankMissing::OnFrame(const JudgedFrame& judged,
                          std::vector<Finding>& out) {
  const frames::Frame& frame = judged.frame;
  if (frame.reason == frames::CloseReason::kSuperseded ||
      frame.reason == frames::CloseReason::kRunEnded || frame.reports.empty()) {
    return;
  }
  attempt_ = frame.attempt;
  last_step_ = frame.step;
  if (frame.world_size > 0) State(frame.world_size - 1);
  auto report = frame.reports.begin();
  for (uint32_t rank = 0; rank < frame.world_size; ++rank) {
    RankState& state = ranks_[rank];
    while (report != frame.reports.end() && report->rank < rank) ++report;
    if (report != frame.reports.end() && report->rank == rank) {
      Clear(rank, out);
      state.seen = true;
      state.absent_frames = 0;
      state.last_arrival = frame.last_arrival;
      continue;
    }
    if (state.absent_frames++ == 0) {
      state.first_absent_step = frame.step;
      if (!state.seen) state.last_arrival = frame.first_arrival;
    }
    if (state.departed || state.absent_frames < kAbsentFrames ||
        frame.last_arrival - state.last_arrival < rank_missing_after_) {
      continue;
    }
    state.raised = true;
    Raise(rank, state, frame, out);
  }
}

void RankMissing::Raise(uint32_t rank, const RankState& state,
                        const frames::Frame& frame,
                        std::vector<Finding>& out) const {
  Finding finding = MakeFinding(rank, Phase::kRaise);
  finding.attempt = frame.attempt;
  finding.first_step = state.first_absent_step;
  finding.last_step = frame.step;
  finding.value =
      absl::ToDoubleSeconds(frame.last_arrival - state.last_arrival);
  finding.expected = absl::ToDoubleSeconds(rank_missing_after_);
  finding.evidence = absl::StrFormat(
      "Rank %d has %s for %s (%.1f seconds), while %s of %d went on%s.", rank,
      state.seen ? "sent no report in time" : "never reported: nothing",
      Count(state.absent_frames, "step"), finding.value,
      Count(frame.reports.size(), "rank"), frame.world_size,
      state.disconnected ? "; its stream is down" : "");
  out.push_back(std::move(finding));
}

void RankMissing::OnEvent(const frames::Event& event,
                          std::vector<Finding>& out) {
  if (const auto* up = std::get_if<frames::SourceUp>(&event)) {
    RankState& state = State(up->info.rank);
    state.departed = false;
    state.disconnected = false;
  } else if (const auto* down = std::get_if<frames::SourceDown>(&event)) {
    // A superseded source has a successor, which is up.
    if (down->reason == frames::DownReason::kSuperseded) return;
    RankState& state = State(down->rank);
    state.disconnected = true;
    if (down->reason != frames::DownReason::kDeparted) return;
    state.departed = true;
    Clear(down->rank, out);
  } else if (std::holds_alternative<frames::AttemptBegan>(event) ||
             std::holds_alternative<frames::RunEnded>(event)) {
    ClearAll(out);
  }
}

void RankMissing::Clear(uint32_t rank, std::vector<Finding>& out) {
  RankState& state = ranks_[rank];
  if (!std::exchange(state.raised, false)) return;
  Finding finding = MakeFinding(rank, Phase::kClear);
  finding.attempt = attempt_;
  finding.first_step = state.first_absent_step;
  finding.last_step = last_step_;
  out.push_back(std::move(finding));
}

void RankMissing::ClearAll(std::vector<Finding>& out) {
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) {
    RankState& state = ranks_[rank];
    Clear(rank, out);
    state.seen = false;
    state.absent_frames = 0;
  }
}

}  // namespace muster::detect
