// How a run answers a source, whatever carries the answer.
#ifndef MUSTER_DAEMON_RUNS_LINK_H_
#define MUSTER_DAEMON_RUNS_LINK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/alert/alert.h"

namespace muster::runs {

// Refusals that need the run's memory; all others are ingest's.
enum class RunRefusal {
  kSuperseded,      // a newer incarnation of the rank has taken over
  kSketchMismatch,  // another sketch specification than the run's first
  kUnknownSource,   // reports of a source that never registered
};

// The way back to one source. Thread-safe; calls return at once, and do
// nothing once the stream behind is gone. Shared by the stream and the run.
class SourceLink {
 public:
  virtual ~SourceLink() = default;

  // The source is registered; its reports up to `sequence` are settled.
  virtual void Welcome(uint64_t sequence) = 0;
  virtual void Acknowledge(uint64_t sequence) = 0;
  // `sequence` is 0 where the source as a whole is refused.
  virtual void Refuse(RunRefusal reason, uint64_t sequence,
                      std::string detail) = 0;
  // The whole firing set, newest first.
  virtual void ShowAlerts(
      std::shared_ptr<const std::vector<alert::Alert>> alerts) = 0;
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_LINK_H_
