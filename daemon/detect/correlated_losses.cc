#include "daemon/detect/correlated_losses.h"

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"
#include "daemon/base/disjoint_sets.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

constexpr int kClearAfterWindows = 3;

bool Contains(const std::vector<uint32_t>& all,
              const std::vector<uint32_t>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

}  // namespace

CorrelatedLosses::CorrelatedLosses(const DetectOptions& options,
                                   double target_frames)
    : frames_(static_cast<size_t>(options.correlation_frames)),
      windows_(frames_, options.correlation, target_frames) {}

void CorrelatedLosses::OnFrame(const JudgedFrame& judged,
                               std::vector<Finding>& out) {
  const frames::Frame& frame = judged.frame;
  if (frame.attempt != attempt_ && frame.step <= last_step_) {
    windows_.Restart();  // repeated frames are no fresh evidence
    pairs_.clear();
  }
  attempt_ = frame.attempt;
  last_step_ = frame.step;
  ComparableValues(Metric::kLoss, judged.measures, frame.world_size, losses_);
  if (windows_.Take(losses_, frame.world_size, frame.step, pairs_)) {
    JudgePairs(out);
    pairs_.clear();
  }
}

void CorrelatedLosses::JudgePairs(std::vector<Finding>& out) {
  uint32_t ranks = 0;
  for (const ResidualPair& pair : pairs_) {
    ranks = std::max(ranks, pair.second + 1);
  }
  DisjointSets sets(ranks);
  for (const ResidualPair& pair : pairs_) sets.Join(pair.first, pair.second);
  struct Group {
    std::vector<uint32_t> ranks;
    double least = 1;  // correlation of its pairs
  };
  std::map<size_t, Group> groups;
  for (const ResidualPair& pair : pairs_) {
    Group& group = groups[sets.Find(pair.first)];
    group.ranks.push_back(pair.first);
    group.ranks.push_back(pair.second);
    group.least = std::min(group.least, pair.correlation);
  }
  for (Standing& standing : standing_) ++standing.unseen_windows;
  for (auto& [first, group] : groups) {
    std::sort(group.ranks.begin(), group.ranks.end());
    group.ranks.erase(std::unique(group.ranks.begin(), group.ranks.end()),
                      group.ranks.end());
    Raise(group.ranks, group.least, out);
  }
  std::erase_if(standing_, [&](const Standing& standing) {
    if (standing.unseen_windows < kClearAfterWindows) return false;
    out.push_back(MakeFinding(standing, Phase::kClear));
    return true;
  });
}

void CorrelatedLosses::Raise(const std::vector<uint32_t>& group,
                             double correlation, std::vector<Finding>& out) {
  auto it = std::find_if(
      standing_.begin(), standing_.end(),
      [&](const Standing& each) { return Contains(each.ranks, group); });
  if (it == standing_.end()) {
    Standing larger = {group, windows_.first_step()};
    std::erase_if(standing_, [&](const Standing& part) {
      if (!Contains(group, part.ranks)) return false;
      larger.first_step = std::min(larger.first_step, part.first_step);
      out.push_back(MakeFinding(part, Phase::kReplaced));
      return true;
    });
    it = standing_.insert(standing_.end(), std::move(larger));
  }
  it->unseen_windows = 0;
  Finding finding = MakeFinding(*it, Phase::kRaise);
  finding.value = correlation;
  finding.expected = windows_.least_correlation();
  finding.evidence = absl::StrFormat(
      "%s seem to train on the same data: over %d steps their losses, less the "
      "median of all ranks, rise and fall together with a correlation of %.2f "
      "or more; independent ranks stay below %.2f.",
      RankListAtStart(group), frames_, correlation, finding.expected);
  out.push_back(std::move(finding));
}

Finding CorrelatedLosses::MakeFinding(const Standing& standing,
                                      Phase phase) const {
  Finding finding;
  finding.kind = Kind::kDuplicateShard;
  finding.phase = phase;
  finding.subject = "loss_correlation";
  finding.ranks = standing.ranks;
  finding.attempt = attempt_;
  finding.first_step = standing.first_step;
  finding.last_step = last_step_;
  return finding;
}

void CorrelatedLosses::OnEvent(const frames::Event& event,
                               std::vector<Finding>& out) {
  const auto* began = std::get_if<frames::AttemptBegan>(&event);
  if (began == nullptr || !began->world_size_changed) return;
  for (const Standing& standing : standing_) {
    out.push_back(MakeFinding(standing, Phase::kReplaced));
  }
  standing_.clear();
  windows_.Restart();
  pairs_.clear();
}

}  // namespace muster::detect
