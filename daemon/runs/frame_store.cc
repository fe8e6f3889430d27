#include "daemon/runs/frame_store.h"

#include <algorithm>
#include <utility>

namespace muster::runs {
namespace {

size_t RankBytes(const consistency::Measures& measures) {
  return measures.ranks.capacity() * sizeof(consistency::RankMeasures);
}

std::shared_ptr<const consistency::Measures> WithoutRanks(
    const consistency::Measures& measures) {
  auto rest = std::make_shared<consistency::Measures>(measures);
  rest->ranks = decltype(rest->ranks)();  // `{}` would keep the memory
  return rest;
}

size_t FrameBytes(const frames::Frame& frame) {
  size_t bytes = sizeof(frames::Frame);
  for (const frames::Report& report : frame.reports) {
    bytes += frames::BytesOf(report);
  }
  return bytes;
}

}  // namespace

bool HasSketches(const frames::Frame& frame) {
  return std::any_of(
      frame.reports.begin(), frame.reports.end(),
      [](const frames::Report& report) { return !report.sketch.empty(); });
}

FrameStore::FrameStore(Options options) : options_(options) {}

void FrameStore::Append(Entry entry) {
  if (entry.frame && !HasSketches(*entry.frame)) entry.frame = nullptr;
  const size_t rank_bytes = RankBytes(*entry.measures);
  const size_t frame_bytes = entry.frame ? FrameBytes(*entry.frame) : 0;
  // What leaves is destroyed after the lock is released.
  std::vector<Entry> gone;
  MutexLock lock(mutex_);
  entries_.push_back(std::move(entry));
  rank_bytes_ += rank_bytes;
  sketch_bytes_ += frame_bytes;
  while (sketch_bytes_ > options_.sketch_bytes &&
         first_whole_ + 1 < entries_.size()) {
    Entry& oldest = entries_[first_whole_++];
    if (!oldest.frame) continue;
    sketch_bytes_ -= FrameBytes(*oldest.frame);
    gone.push_back({nullptr, std::move(oldest.frame), false});
    oldest.frame = nullptr;
  }
  while (rank_bytes_ > options_.rank_bytes &&
         first_with_ranks_ + 1 < entries_.size()) {
    Entry& oldest = entries_[first_with_ranks_++];
    rank_bytes_ -= RankBytes(*oldest.measures);
    auto rest = WithoutRanks(*oldest.measures);
    gone.push_back({std::exchange(oldest.measures, std::move(rest)), nullptr});
  }
  while (entries_.size() > options_.max_frames && entries_.size() > 1) {
    Entry& oldest = entries_.front();
    rank_bytes_ -= RankBytes(*oldest.measures);
    if (oldest.frame) sketch_bytes_ -= FrameBytes(*oldest.frame);
    gone.push_back(std::move(oldest));
    entries_.pop_front();
    if (first_with_ranks_ > 0) --first_with_ranks_;
    if (first_whole_ > 0) --first_whole_;
  }
}

std::vector<FrameStore::Entry> FrameStore::Range(std::optional<uint64_t> from,
                                                 std::optional<uint64_t> to,
                                                 size_t limit) const {
  std::vector<Entry> found;
  {
    MutexLock lock(mutex_);
    for (auto it = entries_.rbegin();
         it != entries_.rend() && found.size() < limit; ++it) {
      const uint64_t step = it->measures->step;
      if ((from && step < *from) || (to && step > *to)) continue;
      found.push_back(*it);
    }
  }
  std::reverse(found.begin(), found.end());
  return found;
}

std::optional<FrameStore::Entry> FrameStore::Whole(
    std::optional<uint64_t> step) const {
  MutexLock lock(mutex_);
  for (auto it = entries_.rbegin(); it != entries_.rend(); ++it) {
    if (it->frame && (!step || it->measures->step == *step)) return *it;
  }
  return std::nullopt;
}

}  // namespace muster::runs
