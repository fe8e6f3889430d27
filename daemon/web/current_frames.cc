#include "daemon/web/current_frames.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "daemon/web/decimate.h"

namespace muster::web {
namespace {

using history::FrameNumbers;
using Entries = std::vector<runs::FrameStore::Entry>;

std::pair<uint32_t, uint64_t> PlaceOf(const consistency::Measures& measures) {
  return {measures.attempt, measures.step};
}

// The first entry from which on all have the values of their ranks.
Entries::const_iterator FirstWhole(const Entries& entries) {
  auto first = entries.end();
  while (first != entries.begin() &&
         !std::prev(first)->measures->ranks.empty()) {
    --first;
  }
  return first;
}

}  // namespace

absl::StatusOr<CurrentFrames> ReadCurrentFrames(const Source& source,
                                                const runs::RunSnapshot& run,
                                                std::optional<uint64_t> from,
                                                std::optional<uint64_t> to) {
  CurrentFrames current;
  const Entries entries =
      run.store->Range(std::nullopt, std::nullopt, SIZE_MAX);
  auto first = entries.begin();
  std::optional<uint64_t> oldest;
  if (run.history_run != 0 && source.stored_frames) {
    const auto whole = FirstWhole(entries);
    history::FrameQuery query{.run = run.history_run, .from = from, .to = to};
    if (whole != entries.end()) query.before = PlaceOf(*whole->measures);
    auto stored = source.stored_frames(query);
    if (!stored.ok()) return stored.status();
    oldest = stored->oldest_step;
    current.stride = stored->stride;
    current.count = stored->count;
    current.frames = std::move(stored->frames);
    // What is not stored yet is shown as it is in memory.
    if (!current.frames.empty()) {
      const FrameNumbers& last = current.frames.back();
      const auto stored_up_to = std::make_pair(last.attempt, last.step);
      while (first != whole && PlaceOf(*first->measures) <= stored_up_to) {
        ++first;
      }
    }
  }
  const size_t from_history = current.frames.size();
  const auto in_range = [&](uint64_t step) {
    return (!from || step >= *from) && (!to || step <= *to);
  };
  for (; first != entries.end(); ++first) {
    const consistency::Measures& measures = *first->measures;
    if (in_range(measures.step)) {
      current.frames.push_back(history::NumbersOf(measures));
    } else {
      // Its step may still put an end to frames of an older attempt.
      current.frames.push_back(
          {.attempt = measures.attempt, .step = measures.step});
    }
  }
  KeepCurrent(current.frames);
  if (!current.frames.empty()) {
    oldest = std::min(oldest.value_or(current.frames.front().step),
                      current.frames.front().step);
    current.newest_step = current.frames.back().step;
  }
  current.oldest_step = oldest.value_or(0);
  std::erase_if(current.frames, [&](const FrameNumbers& frame) {
    return !in_range(frame.step);
  });
  const size_t shown = current.frames.size();
  // How many there are of what was sampled, only the history knows.
  current.count = current.stride == 1
                      ? shown
                      : current.count + shown - std::min(shown, from_history);
  return current;
}

std::optional<CurrentFrames> WithNewer(const CurrentFrames& kept,
                                       const runs::RunSnapshot& run,
                                       const consistency::Measures* newest) {
  if (kept.stride != 1) return std::nullopt;
  const Entries entries =
      run.store->Range(std::nullopt, std::nullopt, SIZE_MAX);
  const auto known = std::find_if(entries.rbegin(), entries.rend(),
                                  [newest](const runs::FrameStore::Entry& e) {
                                    return e.measures.get() == newest;
                                  })
                         .base();
  const bool whole = std::all_of(known, entries.end(),
                                 [](const runs::FrameStore::Entry& entry) {
                                   return !entry.measures->ranks.empty();
                                 });
  if (known == entries.begin() || !whole) return std::nullopt;
  CurrentFrames current = kept;
  for (auto entry = known; entry != entries.end(); ++entry) {
    current.frames.push_back(history::NumbersOf(*entry->measures));
  }
  // What was judged while `kept` were read is there twice, the newer one stays.
  KeepCurrent(current.frames);
  current.count = current.frames.size();
  if (!current.frames.empty()) {
    current.oldest_step =
        std::min(current.oldest_step, current.frames.front().step);
    current.newest_step = current.frames.back().step;
  }
  return current;
}

}  // namespace muster::web
