// Which elements of the flat gradient have been observed in this step.
#ifndef MUSTER_CLIENT_SRC_COVERAGE_H_
#define MUSTER_CLIENT_SRC_COVERAGE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace muster {

// A set of offsets, kept as disjoint intervals that are merged where they
// touch. Thread-compatible.
class Coverage {
 public:
  // Intervals kept at most (1 MiB). Beyond it a new one is counted and
  // forgotten: counts stay right, a later overlap with it goes unseen.
  static constexpr size_t kMaxIntervals = 65536;

  // Adds [begin, end); requires begin ≤ end. In any order.
  void Add(uint64_t begin, uint64_t end);
  void Reset();

  // Offsets in the set, each counted once.
  uint64_t element_count() const { return element_count_; }
  // Some offset was added twice since Reset().
  bool overlapped() const { return overlapped_; }
  size_t interval_count() const { return intervals_.size(); }

 private:
  struct Interval {
    uint64_t begin;
    uint64_t end;
  };

  std::vector<Interval> intervals_;  // ascending, gaps between them
  uint64_t element_count_ = 0;
  bool overlapped_ = false;
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_COVERAGE_H_
