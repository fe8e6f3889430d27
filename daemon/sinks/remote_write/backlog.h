// What the history has and the receiver has not.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_BACKLOG_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_BACKLOG_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/history/reader.h"
#include "daemon/sinks/remote_write/marks.h"
#include "daemon/sinks/remote_write/step.h"

namespace muster::sinks::remote_write {

// Positions from ≤ p < to of a run in the history.
struct Range {
  int64_t history_run = 0;
  uint64_t from = 1;
  uint64_t to = 0;

  friend bool operator==(const Range&, const Range&) = default;
};

// What is to be sent first, by run, in order. The newest step that was
// delivered is in it too, for the sake of the series that it has. Requires:
// nobody writes to the history yet.
absl::StatusOr<std::map<std::string, std::deque<Range>>> FindUndelivered(
    const history::Reader& reader, const Marks& marks);

// Where all runs stand: nothing of what the history has is sent. Requires: as
// above.
absl::StatusOr<Marks> MarkAll(const history::Reader& reader, absl::Time now);

// Forgets the runs that the history has forgotten.
absl::Status DropForgotten(const history::Reader& reader, Marks& marks);

// The first steps of the range with about `max_samples`; advances its begin
// past them, to its end if those were the last.
absl::StatusOr<std::vector<Step>> ReadSteps(const std::string& history_path,
                                            Range& range, int64_t max_samples,
                                            uint32_t max_ranks);

// Whether an error of the above may pass, so that what is there can be read
// later: another process has the file, descriptors have run out, a disk is
// away.
bool MayPass(const absl::Status& error);

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_BACKLOG_H_
