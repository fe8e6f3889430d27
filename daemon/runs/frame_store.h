// The newest judged frames of a run, for the API and the page.
#ifndef MUSTER_DAEMON_RUNS_FRAME_STORE_H_
#define MUSTER_DAEMON_RUNS_FRAME_STORE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "daemon/base/mutex.h"
#include "daemon/consistency/measures.h"
#include "daemon/frames/frame.h"

namespace muster::runs {

// True if a report has a sketch of its gradient.
bool HasSketches(const frames::Frame& frame);

// Numbers of the newest 4,096 frames; the values of their ranks, and whole
// frames (with sketches, for the matrix), as far as byte budgets reach.
// Thread-safe; readers hold the lock only to copy pointers.
class FrameStore {
 public:
  struct Entry {
    // Without `ranks` when out of budget.
    std::shared_ptr<const consistency::Measures> measures;
    // Null when out of budget, and where no report has a sketch.
    std::shared_ptr<const frames::Frame> frame;
    bool superseded = false;
    // Wall clock when it was judged; InfinitePast if not known.
    absl::Time wall = absl::InfinitePast();
  };
  // The newest frame is kept as it is, however large.
  struct Options {
    // What is left of a frame without its ranks is half a kilobyte or so.
    size_t max_frames = 4096;
    // Memory for the values of ranks: all 4,096 frames of 32 ranks, some 150
    // frames of 1,024.
    size_t rank_bytes = size_t{32} << 20;
    // Memory for whole frames.
    size_t sketch_bytes = size_t{16} << 20;
  };

  explicit FrameStore(Options options);

  void Append(Entry entry);

  // Entries with from ≤ step ≤ to, at most `limit`, the newest ones, oldest
  // first.
  std::vector<Entry> Range(std::optional<uint64_t> from,
                           std::optional<uint64_t> to, size_t limit) const;
  // The newest entry whose whole frame is kept, of `step` if given.
  std::optional<Entry> Whole(std::optional<uint64_t> step) const;

 private:
  const Options options_;
  mutable Mutex mutex_;
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  size_t rank_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t sketch_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // Indices into entries_: all before them are out of budget.
  size_t first_with_ranks_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t first_whole_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_FRAME_STORE_H_
