#include "daemon/detect/zero_gradients.h"

#include <algorithm>
#include <map>
#include <optional>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

constexpr uint32_t kFrames = 3;

struct Counted {
  size_t ranks = 0;
  std::optional<uint32_t> majority;
};

Counted CountOf(const frames::Frame& frame) {
  std::map<uint32_t, size_t> ranks_by_count;
  Counted counted;
  for (const frames::Report& report : frame.reports) {
    if (!report.zero_gradient_tensors) continue;
    ++counted.ranks;
    ++ranks_by_count[*report.zero_gradient_tensors];
  }
  for (const auto& [count, ranks] : ranks_by_count) {
    if (2 * ranks > counted.ranks) counted.majority = count;
  }
  return counted;
}

}  // namespace

void ZeroGradients::OnFrame(const JudgedFrame& judged,
                            std::vector<Finding>& out) {
  const frames::Frame& frame = judged.frame;
  attempt_ = frame.attempt;
  last_step_ = frame.step;
  const Counted counted = CountOf(frame);
  if (counted.ranks < 2) return;

  Concern concern;
  bool standing_rank_is_odd = false;
  uint32_t shown = 0;
  for (const frames::Report& report : frame.reports) {
    if (!report.zero_gradient_tensors) continue;
    if (report.rank >= odd_frames_.size()) odd_frames_.resize(report.rank + 1);
    // Two ranks without a majority differ from each other.
    const bool odd = counted.majority
                         ? report.zero_gradient_tensors != counted.majority
                         : counted.ranks == 2;
    uint32_t& frames = odd_frames_[report.rank];
    frames = odd ? frames + 1 : 0;
    if (frames >= kFrames) {
      shown = std::max(shown, *report.zero_gradient_tensors);
      concern.ranks.push_back(report.rank);
    }
    standing_rank_is_odd =
        standing_rank_is_odd ||
        (odd && standing_.stands() &&
         std::binary_search(standing_.ranks().begin(), standing_.ranks().end(),
                            report.rank));
  }
  if (!concern.ranks.empty()) {
    even_frames_ = 0;
    concern.value = shown;
    concern.expected = counted.majority.value_or(0);
    concern.evidence = absl::StrCat(
        RankListAtStart(concern.ranks),
        concern.ranks.size() == 1 ? " has " : " have up to ",
        Count(shown, "gradient tensor"), " that ", shown == 1 ? "is" : "are",
        " all zero, in ", kFrames, " steps in a row or more",
        counted.majority
            ? absl::StrCat("; most ranks have ", *counted.majority, ".")
            : "; the two ranks differ.");
    standing_.Raise(std::move(concern), frame.attempt, frame.step, out);
  } else if (standing_.stands()) {
    even_frames_ = standing_rank_is_odd ? 0 : even_frames_ + 1;
    if (even_frames_ < kFrames) return;
    standing_.Clear(frame.attempt, frame.step, out);
    even_frames_ = 0;
  }
}

void ZeroGradients::OnEvent(const frames::Event& event,
                            std::vector<Finding>& out) {
  const auto* began = std::get_if<frames::AttemptBegan>(&event);
  if (began == nullptr || !began->world_size_changed) return;
  standing_.Clear(attempt_, last_step_, out);
  odd_frames_.clear();
  even_frames_ = 0;
}

}  // namespace muster::detect
