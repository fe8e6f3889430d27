#include "daemon/web/frame_cache.h"

#include <string>
#include <utility>

namespace muster::web {
namespace {

size_t BytesOf(const CurrentFrames& current) {
  size_t bytes = sizeof(current);
  for (const history::FrameNumbers& frame : current.frames) {
    bytes += sizeof(frame) + frame.ranks.size() * sizeof(history::RankNumbers);
  }
  return bytes;
}

}  // namespace

struct FrameCache::Slot {
  std::string run;
  std::optional<uint64_t> from;
  std::optional<uint64_t> to;
  // Held, so that no other frame has its address.
  std::shared_ptr<const consistency::Measures> newest;
  int64_t history_run = 0;
  absl::Time since;
  size_t bytes = 0;  // guarded by the cache's mutex
  Mutex mutex;
  // Null until they are read.
  std::shared_ptr<const CurrentFrames> frames ABSL_GUARDED_BY(mutex);
  // Of the reading for which others have waited.
  absl::Status failure ABSL_GUARDED_BY(mutex);
};

absl::StatusOr<std::shared_ptr<const CurrentFrames>> FrameCache::Get(
    const runs::RunSnapshot& run, std::optional<uint64_t> from,
    std::optional<uint64_t> to, const Read& read) {
  const std::shared_ptr<Slot> slot = SlotFor(run, from, to);
  MutexLock lock(slot->mutex);
  if (!slot->failure.ok()) return slot->failure;
  if (slot->frames == nullptr) {
    auto frames = read();
    if (!frames.ok()) {
      // Who waits here gets it too; the next who asks tries again.
      slot->failure = frames.status();
      Forget(slot);
      return frames.status();
    }
    slot->frames = std::make_shared<const CurrentFrames>(*std::move(frames));
    Keep(*slot, BytesOf(*slot->frames));
  }
  return slot->frames;
}

std::shared_ptr<FrameCache::Slot> FrameCache::SlotFor(
    const runs::RunSnapshot& run, std::optional<uint64_t> from,
    std::optional<uint64_t> to) {
  const absl::Time now = options_.now();
  MutexLock lock(mutex_);
  slots_.remove_if([&](const std::shared_ptr<Slot>& slot) {
    const bool passed =
        slot->run == run.run &&
        (slot->newest != run.newest || slot->history_run != run.history_run);
    return passed || now - slot->since > options_.max_age || now < slot->since;
  });
  for (const std::shared_ptr<Slot>& slot : slots_) {
    if (slot->run == run.run && slot->from == from && slot->to == to) {
      return slot;
    }
  }
  auto slot = std::make_shared<Slot>();
  slot->run = run.run;
  slot->from = from;
  slot->to = to;
  slot->newest = run.newest;
  slot->history_run = run.history_run;
  slot->since = now;
  slots_.push_back(slot);
  return slot;
}

void FrameCache::Forget(const std::shared_ptr<Slot>& slot) {
  MutexLock lock(mutex_);
  slots_.remove(slot);
}

void FrameCache::Keep(Slot& slot, size_t bytes) {
  MutexLock lock(mutex_);
  slot.bytes = bytes;
  size_t all = 0;
  for (const std::shared_ptr<Slot>& kept : slots_) all += kept->bytes;
  while (all > options_.max_bytes) {
    all -= slots_.front()->bytes;
    slots_.pop_front();
  }
}

}  // namespace muster::web
