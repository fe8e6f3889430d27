#include "daemon/detect/duplicate_shard.h"

#include <algorithm>
#include <limits>
#include <map>
#include <variant>

#include "absl/strings/str_format.h"
#include "daemon/consistency/measure.h"
#include "daemon/detect/duplicate_groups.h"
#include "daemon/detect/text.h"

namespace muster::detect {
namespace {

constexpr uint32_t kAlone = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kClearFactor = 3;

bool Contains(const std::vector<uint32_t>& all,
              const std::vector<uint32_t>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// What makes the ranks of `group` alike in this frame, which has them all.
std::string DescribeLikeness(const frames::Frame& frame,
                             const std::vector<uint32_t>& group) {
  const std::vector<uint64_t>* samples = nullptr;
  bool same_number = true;
  for (const frames::Report& report : frame.reports) {
    if (!std::binary_search(group.begin(), group.end(), report.rank)) continue;
    if (samples == nullptr) samples = &report.sample_ids;
    same_number = same_number && report.sample_ids.size() == samples->size();
  }
  if (samples != nullptr && !samples->empty() && same_number) {
    return absl::StrFormat("they drew the same %s",
                           Count(samples->size(), "sample"));
  }
  return absl::StrFormat(
      "loss and gradient norm are equal to %g and the cosine of their "
      "gradients is at least %g",
      consistency::kLookalikeTolerance, consistency::kLookalikeCosine);
}

}  // namespace

DuplicateShard::DuplicateShard(const DetectOptions& options)
    : duplicate_frames_(options.duplicate_frames) {}

void DuplicateShard::OnFrame(const JudgedFrame& judged,
                             std::vector<Finding>& out) {
  const frames::Frame& frame = judged.frame;
  if (frame.attempt != attempt_) {
    labels_.clear();
    label_steps_.clear();
  }
  attempt_ = frame.attempt;
  last_step_ = frame.step;
  ++frame_;
  labels_.push_back(LabelRanks(judged));
  label_steps_.push_back(frame.step);
  if (labels_.size() > duplicate_frames_) {
    labels_.pop_front();
    label_steps_.pop_front();
  }
  if (labels_.size() == duplicate_frames_) {
    for (const std::vector<uint32_t>& group : LastingGroups()) {
      Take(group, frame, out);
    }
  }
  for (size_t i = 0; i < standing_.size();) {
    if (frame_ - standing_[i].seen_frame < kClearFactor * duplicate_frames_) {
      ++i;
      continue;
    }
    Clear(standing_[i], Phase::kClear, out);
    standing_.erase(standing_.begin() + static_cast<ptrdiff_t>(i));
  }
}

DuplicateShard::Labels DuplicateShard::LabelRanks(
    const JudgedFrame& judged) const {
  const frames::Frame& frame = judged.frame;
  const std::vector<size_t> groups =
      GroupDuplicates(frame, judged.measures.lookalikes);
  Labels labels;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] == i) continue;
    labels.resize(frame.reports.back().rank + 1, kAlone);
    const uint32_t first = frame.reports[groups[i]].rank;
    labels[first] = first;
    labels[frame.reports[i].rank] = first;
  }
  return labels;
}

std::vector<std::vector<uint32_t>> DuplicateShard::LastingGroups() const {
  // Ranks are together if they have the same label in each frame.
  std::map<std::vector<uint32_t>, std::vector<uint32_t>> by_labels;
  for (uint32_t rank = 0; rank < labels_.back().size(); ++rank) {
    std::vector<uint32_t> key;
    for (const Labels& labels : labels_) {
      if (rank >= labels.size() || labels[rank] == kAlone) break;
      key.push_back(labels[rank]);
    }
    if (key.size() == labels_.size()) {
      by_labels[std::move(key)].push_back(rank);
    }
  }
  std::vector<std::vector<uint32_t>> groups;
  for (auto& [key, ranks] : by_labels) {
    if (ranks.size() >= 2) groups.push_back(std::move(ranks));
  }
  return groups;
}

void DuplicateShard::Take(const std::vector<uint32_t>& group,
                          const frames::Frame& frame,
                          std::vector<Finding>& out) {
  // A part of a group that stands is that group with somebody absent; a larger
  // one takes its place.
  auto it = std::find_if(
      standing_.begin(), standing_.end(),
      [&](const Standing& each) { return Contains(each.ranks, group); });
  if (it == standing_.end()) {
    uint64_t first_step = label_steps_.front();
    for (size_t i = 0; i < standing_.size();) {
      if (!Contains(group, standing_[i].ranks)) {
        ++i;
        continue;
      }
      first_step = std::min(first_step, standing_[i].first_step);
      Clear(standing_[i], Phase::kReplaced, out);
      standing_.erase(standing_.begin() + static_cast<ptrdiff_t>(i));
    }
    it = standing_.insert(standing_.end(), {group, first_step, frame_});
  }
  it->seen_frame = frame_;
  Finding finding;
  finding.kind = Kind::kDuplicateShard;
  finding.subject = "data";
  finding.ranks = it->ranks;
  finding.attempt = frame.attempt;
  finding.first_step = it->first_step;
  finding.last_step = frame.step;
  finding.value = static_cast<double>(group.size());
  finding.expected = 1;
  finding.evidence = absl::StrFormat(
      "%s train on the same data: %s, in %s in a row.", RankListAtStart(group),
      DescribeLikeness(frame, group), Count(duplicate_frames_, "step"));
  out.push_back(std::move(finding));
}

void DuplicateShard::OnEvent(const frames::Event& event,
                             std::vector<Finding>& out) {
  const auto* began = std::get_if<frames::AttemptBegan>(&event);
  if (began == nullptr || !began->world_size_changed) return;
  for (const Standing& standing : standing_) {
    Clear(standing, Phase::kReplaced, out);
  }
  standing_.clear();
}

void DuplicateShard::Clear(const Standing& standing, Phase phase,
                           std::vector<Finding>& out) const {
  Finding finding;
  finding.kind = Kind::kDuplicateShard;
  finding.phase = phase;
  finding.subject = "data";
  finding.ranks = standing.ranks;
  finding.attempt = attempt_;
  finding.first_step = standing.first_step;
  finding.last_step = last_step_;
  out.push_back(std::move(finding));
}

}  // namespace muster::detect
