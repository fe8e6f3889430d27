// The frames that were read last, for those who ask for the same again: a page
// asks for series and heatmap of the same steps, again for each choice of its
// reader, for parts of them when he zooms, and each second while the run is
// live.
#ifndef MUSTER_DAEMON_WEB_FRAME_CACHE_H_
#define MUSTER_DAEMON_WEB_FRAME_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/base/mutex.h"
#include "daemon/runs/snapshot.h"
#include "daemon/web/current_frames.h"

namespace muster::web {

// To all frames of a run, newer ones are added from memory; other frames are
// read again once the run has a newer one. All are after a few seconds, for
// what does not come with a frame, such as the history's retention.
// Thread-safe; who asks for what is being read waits for it. Owned by the
// server, through Source.
class FrameCache {
 public:
  using Read = std::function<absl::StatusOr<CurrentFrames>()>;

  struct Options {
    absl::Duration max_age = absl::Seconds(5);
    // Memory for what is kept; a larger answer is not.
    size_t max_bytes = size_t{64} << 20;
    std::function<absl::Time()> now = absl::Now;
  };

  explicit FrameCache(Options options) : options_(std::move(options)) {}

  // Frames of a run: at least those from … to, with no stride unless they alone
  // take one. By `read`, for exactly these, where they are not kept; its
  // errors.
  absl::StatusOr<std::shared_ptr<const CurrentFrames>> Get(
      const runs::RunSnapshot& run, std::optional<uint64_t> from,
      std::optional<uint64_t> to, const Read& read);

 private:
  struct Slot;  // the frames of one question

  std::shared_ptr<Slot> SlotFor(const runs::RunSnapshot& run,
                                std::optional<uint64_t> from,
                                std::optional<uint64_t> to);
  // Drops the oldest until the rest fits.
  void Keep(Slot& slot, const CurrentFrames& frames);
  void Forget(const std::shared_ptr<Slot>& slot);

  const Options options_;
  Mutex mutex_;
  std::list<std::shared_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);  // by age
};

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_FRAME_CACHE_H_
