#include "daemon/runs/frame_store.h"

#include <algorithm>
#include <utility>

namespace muster::runs {
namespace {

size_t MeasuresBytes(const FrameStore::Entry& entry) {
  return sizeof(consistency::Measures) +
         entry.measures->ranks.size() * sizeof(consistency::RankMeasures);
}

size_t FrameBytes(const frames::Frame& frame) {
  size_t bytes = sizeof(frames::Frame);
  for (const frames::Report& report : frame.reports) {
    bytes += frames::BytesOf(report);
  }
  return bytes;
}

}  // namespace

FrameStore::FrameStore(Options options) : options_(options) {}

void FrameStore::Append(Entry entry) {
  const size_t measures_bytes = MeasuresBytes(entry);
  const size_t frame_bytes = entry.frame ? FrameBytes(*entry.frame) : 0;
  // What leaves is destroyed after the lock is released.
  std::vector<Entry> gone;
  MutexLock lock(mutex_);
  entries_.push_back(std::move(entry));
  measures_bytes_ += measures_bytes;
  sketch_bytes_ += frame_bytes;
  while (sketch_bytes_ > options_.sketch_bytes &&
         first_whole_ + 1 < entries_.size()) {
    Entry& oldest = entries_[first_whole_++];
    if (!oldest.frame) continue;
    sketch_bytes_ -= FrameBytes(*oldest.frame);
    gone.push_back({nullptr, std::move(oldest.frame), false});
    oldest.frame = nullptr;
  }
  while (entries_.size() > 1 && (entries_.size() > options_.max_frames ||
                                 measures_bytes_ > options_.measures_bytes)) {
    Entry& oldest = entries_.front();
    measures_bytes_ -= MeasuresBytes(oldest);
    if (oldest.frame) sketch_bytes_ -= FrameBytes(*oldest.frame);
    gone.push_back(std::move(oldest));
    entries_.pop_front();
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
