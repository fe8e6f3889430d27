// The newest judged frames of a run, for the API and the page.
#ifndef MUSTER_DAEMON_RUNS_FRAME_STORE_H_
#define MUSTER_DAEMON_RUNS_FRAME_STORE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "daemon/base/mutex.h"
#include "daemon/consistency/measures.h"
#include "daemon/frames/frame.h"

namespace muster::runs {

// Numbers of the newest 4,096 frames, and whole frames (with sketches, for the
// matrix) as far as a byte budget reaches. Thread-safe; readers hold the lock
// only to copy pointers.
class FrameStore {
 public:
  struct Entry {
    std::shared_ptr<const consistency::Measures> measures;
    std::shared_ptr<const frames::Frame> frame;  // null when out of budget
    bool superseded = false;
  };
  struct Options {
    size_t max_frames = 4096;
    // Memory for the numbers of ranks; many ranks keep fewer frames.
    size_t measures_bytes = size_t{256} << 20;
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
  size_t measures_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t sketch_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t first_whole_ ABSL_GUARDED_BY(mutex_) = 0;  // index into entries_
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_FRAME_STORE_H_
