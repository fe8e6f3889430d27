// Where sources go on to once they are checked: to the runs of this daemon, or
// through a relay to the next one.
#ifndef MUSTER_DAEMON_INGEST_SINK_H_
#define MUSTER_DAEMON_INGEST_SINK_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "daemon/ingest/outbox.h"
#include "daemon/ingest/validate.h"
#include "daemon/runs/run.h"
#include "muster/v1/telemetry.pb.h"

namespace muster::ingest {

// Who speaks on a stream.
struct Caller {
  // Ids of the relays that its messages have passed, the first one first.
  std::vector<std::string> via;
};

// The way on of one source. Thread-compatible, but for NotifyWhenDrained.
class SourceSink {
 public:
  virtual ~SourceSink() = default;

  // Checks the report and puts it to those that Flush() passes on; says what is
  // wrong with it otherwise. Takes the report's bytes.
  virtual std::optional<Rejection> Add(v1::StepReport& report) = 0;
  // `settled`: the highest sequence said, that of a refused report included.
  virtual runs::Posted Flush(uint64_t settled) = 0;
  virtual runs::Posted State(
      const v1::Facts& facts,
      std::shared_ptr<const frames::FactSet> checked) = 0;
  virtual runs::Posted Depart(const v1::Goodbye& goodbye) = 0;
  // The stream ended without a Goodbye.
  virtual void Disconnect() = 0;

  // Whether its stream should not be read until it is drained.
  virtual bool IsFull() const = 0;
  // Calls back once, on any thread, when there is room again.
  virtual void NotifyWhenDrained(std::function<void()> callback) = 0;
};

// Thread-safe; outlives the sessions.
class Sink {
 public:
  virtual ~Sink() = default;

  // Whether a stream of this caller is taken at all; the error goes to it.
  virtual absl::Status Admit(const Caller& caller) { return absl::OkStatus(); }
  // Opens a source; its Welcome, or a refusal that needs more than the Hello,
  // comes through the outbox. Requires: the Hello has been checked.
  virtual std::variant<std::shared_ptr<SourceSink>, Rejection> Open(
      const Caller& caller, const v1::Hello& hello, CheckedHello checked,
      const std::shared_ptr<Outbox>& outbox) = 0;
};

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_SINK_H_
