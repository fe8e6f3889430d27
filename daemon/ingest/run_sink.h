// Sources go to the runs of this daemon.
#ifndef MUSTER_DAEMON_INGEST_RUN_SINK_H_
#define MUSTER_DAEMON_INGEST_RUN_SINK_H_

#include <memory>
#include <variant>

#include "daemon/ingest/sink.h"
#include "daemon/runs/registry.h"

namespace muster::ingest {

// Thread-safe; `registry` and `counters` outlive it.
class RunSink : public Sink {
 public:
  RunSink(runs::Registry& registry, runs::DaemonCounters& counters)
      : registry_(registry), counters_(counters) {}

  std::variant<std::shared_ptr<SourceSink>, Rejection> Open(
      const Caller& caller, const v1::Hello& hello, CheckedHello checked,
      const std::shared_ptr<Outbox>& outbox) override;

 private:
  runs::Registry& registry_;
  runs::DaemonCounters& counters_;
};

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_RUN_SINK_H_
