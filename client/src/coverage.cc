#include "client/src/coverage.h"

#include <algorithm>

namespace muster {

void Coverage::Add(uint64_t begin, uint64_t end) {
  if (begin == end) return;
  // The intervals that overlap or touch the new one are [first, last).
  const auto first = std::lower_bound(
      intervals_.begin(), intervals_.end(), begin,
      [](const Interval& each, uint64_t value) { return each.end < value; });
  Interval merged{begin, end};
  uint64_t known = 0;
  auto last = first;
  for (; last != intervals_.end() && last->begin <= end; ++last) {
    const uint64_t low = std::max(begin, last->begin);
    const uint64_t high = std::min(end, last->end);
    if (low < high) known += high - low;
    merged.begin = std::min(merged.begin, last->begin);
    merged.end = std::max(merged.end, last->end);
  }
  element_count_ += end - begin - known;
  overlapped_ = overlapped_ || known > 0;
  if (first == last) {
    if (intervals_.size() < kMaxIntervals) intervals_.insert(first, merged);
    return;
  }
  *first = merged;
  intervals_.erase(first + 1, last);
}

void Coverage::Reset() {
  intervals_.clear();
  element_count_ = 0;
  overlapped_ = false;
}

}  // namespace muster
