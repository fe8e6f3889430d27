#include "daemon/detect/rank_lagging.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

constexpr uint32_t kFrames = 3;

Finding MakeFinding(uint32_t rank, Phase phase) {
  Finding finding;
  finding.kind = Kind::kRankLagging;
  finding.phase = phase;
  finding.subject = "reports";
  finding.ranks = {rank};
  return finding;
}

}  // namespace

RankLagging::RankLagging(const DetectOptions& options)
    : after_seconds_(absl::ToDoubleSeconds(options.rank_lagging_after)) {}

void RankLagging::OnFrame(const JudgedFrame& judged,
                          std::vector<Finding>& out) {
  attempt_ = judged.frame.attempt;
  last_step_ = judged.frame.step;
  delays_.clear();
  uint32_t ranks = 0;
  for (const consistency::RankMeasures& rank : judged.measures.ranks) {
    if (!rank.arrival_delay_seconds) continue;
    delays_.push_back(*rank.arrival_delay_seconds);
    ranks = rank.rank + 1;
  }
  if (delays_.size() < 2) return;
  if (ranks_.size() < ranks) ranks_.resize(ranks);
  const auto middle = delays_.begin() + (delays_.size() - 1) / 2;
  std::nth_element(delays_.begin(), middle, delays_.end());
  for (const consistency::RankMeasures& rank : judged.measures.ranks) {
    if (!rank.arrival_delay_seconds) continue;
    Judge(rank.rank, *rank.arrival_delay_seconds - *middle, out);
  }
}

void RankLagging::Judge(uint32_t rank, double lag, std::vector<Finding>& out) {
  RankState& state = ranks_[rank];
  if (lag < after_seconds_) {
    state.late_frames = 0;
    state.good_frames = lag < after_seconds_ / 2 ? state.good_frames + 1 : 0;
    if (state.good_frames >= kFrames) Clear(rank, out);
    return;
  }
  state.good_frames = 0;
  if (state.late_frames++ == 0 && !state.raised) state.first_step = last_step_;
  if (state.late_frames < kFrames) return;
  state.raised = true;
  Finding finding = MakeFinding(rank, Phase::kRaise);
  finding.attempt = attempt_;
  finding.first_step = state.first_step;
  finding.last_step = last_step_;
  finding.value = lag;
  finding.expected = after_seconds_;
  finding.evidence = absl::StrFormat(
      "Rank %d's report of step %d came %.1f seconds after the median rank's, "
      "as late as that in %s in a row; allowed are %.1f.",
      rank, last_step_, lag, Count(state.late_frames, "step"), after_seconds_);
  out.push_back(std::move(finding));
}

void RankLagging::OnEvent(const frames::Event& event,
                          std::vector<Finding>& out) {
  if (!std::holds_alternative<frames::AttemptBegan>(event) &&
      !std::holds_alternative<frames::RunEnded>(event)) {
    return;
  }
  for (uint32_t rank = 0; rank < ranks_.size(); ++rank) Clear(rank, out);
  ranks_.clear();
}

void RankLagging::Clear(uint32_t rank, std::vector<Finding>& out) {
  if (!std::exchange(ranks_[rank].raised, false)) return;
  Finding finding = MakeFinding(rank, Phase::kClear);
  finding.attempt = attempt_;
  finding.first_step = ranks_[rank].first_step;
  finding.last_step = last_step_;
  out.push_back(std::move(finding));
}

}  // namespace muster::detect
