// Judges stored runs again.
#ifndef MUSTER_DAEMON_RUNS_REPLAY_H_
#define MUSTER_DAEMON_RUNS_REPLAY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/alert/alert.h"
#include "daemon/detect/detector.h"
#include "daemon/history/reader.h"
#include "daemon/runs/judge.h"

namespace muster::runs {

struct JudgeOptions {
  detect::DetectOptions detect;
  alert::AlertOptions alert;
};

// Says how to judge under a stored configuration, or under another one instead.
using OptionsOf = std::function<absl::StatusOr<JudgeOptions>(
    const std::string& configuration)>;

// Feeds the stream of the run to a fresh judge, again one at each place where
// the daemon had been started again, and tells each change of an alert. Under
// the stored configuration these are those that were stored, byte for byte, as
// long as nothing of the run has been deleted or got lost. Stops at the first
// error, that of `change` too.
absl::Status Replay(
    const history::Reader& reader, const history::StoredRun& run,
    const OptionsOf& options,
    const std::function<absl::Status(const alert::Alert&)>& change);

// Feeds a muted judge with what `resumed` says of the entries before `end`, and
// tells of each frame. Frames from `sketches_from` on come with sketches, where
// they are kept.
absl::Status FeedMuted(
    const history::Reader& reader, int64_t run, const history::Resumed& resumed,
    uint64_t sketches_from, uint64_t end, Judge& judge,
    const std::function<void(const history::Judged&, absl::Time wall)>& seen);

// {"time":"…","alert":…}: the change as it was logged, with the time at which
// it was.
std::string ReplayLine(const std::string& run, const alert::Alert& alert);

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_REPLAY_H_
