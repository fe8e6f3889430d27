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
  // Of those that are not of all steps: the run's newest frame.
  std::shared_ptr<const consistency::Measures> newest;
  int64_t history_run = 0;
  absl::Time since;
  size_t bytes = 0;       // guarded by the cache's mutex
  bool complete = false;  // the same: all frames of all steps have been read
  Mutex mutex;
  // The run's newest frame when they were read. Held, so that no other frame
  // has its address.
  std::shared_ptr<const consistency::Measures> read_newest
      ABSL_GUARDED_BY(mutex);
  // Null until they are read.
  std::shared_ptr<const CurrentFrames> frames ABSL_GUARDED_BY(mutex);
  // Of the reading for which others have waited.
  absl::Status failure ABSL_GUARDED_BY(mutex);

  bool all() const { return !from && !to; }
};

absl::StatusOr<std::shared_ptr<const CurrentFrames>> FrameCache::Get(
    const runs::RunSnapshot& run, std::optional<uint64_t> from,
    std::optional<uint64_t> to, const Read& read) {
  const std::shared_ptr<Slot> slot = SlotFor(run, from, to);
  MutexLock lock(slot->mutex);
  if (!slot->failure.ok()) return slot->failure;
  if (slot->frames != nullptr && slot->read_newest == run.newest) {
    return slot->frames;
  }
  std::optional<CurrentFrames> newer;
  if (slot->frames != nullptr) {
    newer = WithNewer(*slot->frames, run, slot->read_newest.get());
  }
  // Only part of what is kept is asked for, and that cannot be kept up.
  const bool part = slot->from != from || slot->to != to;
  if (!newer) {
    auto frames = read();
    if (part) {
      Forget(slot);
      if (!frames.ok()) return frames.status();
      return std::make_shared<const CurrentFrames>(*std::move(frames));
    }
    if (!frames.ok()) {
      // Who waits here gets it too; the next who asks tries again.
      slot->failure = frames.status();
      Forget(slot);
      return frames.status();
    }
    newer = *std::move(frames);
  }
  slot->frames = std::make_shared<const CurrentFrames>(*std::move(newer));
  slot->read_newest = run.newest;
  Keep(*slot, *slot->frames);
  return slot->frames;
}

std::shared_ptr<FrameCache::Slot> FrameCache::SlotFor(
    const runs::RunSnapshot& run, std::optional<uint64_t> from,
    std::optional<uint64_t> to) {
  const absl::Time now = options_.now();
  MutexLock lock(mutex_);
  slots_.remove_if([&](const std::shared_ptr<Slot>& slot) {
    const bool passed =
        slot->run == run.run && ((!slot->all() && slot->newest != run.newest) ||
                                 slot->history_run != run.history_run);
    return passed || now - slot->since > options_.max_age || now < slot->since;
  });
  for (const std::shared_ptr<Slot>& slot : slots_) {
    if (slot->run != run.run) continue;
    if (slot->complete || (slot->from == from && slot->to == to)) return slot;
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

void FrameCache::Keep(Slot& slot, const CurrentFrames& frames) {
  const size_t bytes = BytesOf(frames);
  MutexLock lock(mutex_);
  slot.bytes = bytes;
  slot.complete = slot.all() && frames.stride == 1;
  size_t all = 0;
  for (const std::shared_ptr<Slot>& kept : slots_) all += kept->bytes;
  while (all > options_.max_bytes) {
    all -= slots_.front()->bytes;
    slots_.pop_front();
  }
}

}  // namespace muster::web
