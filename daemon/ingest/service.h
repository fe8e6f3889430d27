// The Telemetry service over gRPC.
#ifndef MUSTER_DAEMON_INGEST_SERVICE_H_
#define MUSTER_DAEMON_INGEST_SERVICE_H_

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "daemon/identity/gate.h"
#include "daemon/ingest/admission.h"
#include "daemon/ingest/sink.h"
#include "daemon/ingest/validate.h"
#include "daemon/runs/registry.h"
#include "grpcpp/impl/codegen/service_type.h"

namespace muster::ingest {

// Streams by the callback API: no thread for each. `sink`, `counters` and
// `gate` outlive the server that the service is registered with. `gate` may be
// null: then everybody may report everything. `contested` is called on gRPC's
// threads. `now`: the monotonic clock.
std::unique_ptr<grpc::Service> MakeTelemetryService(
    const Limits& limits, Sink& sink, runs::DaemonCounters& counters,
    identity::Gate* gate, RankClaims::Contested contested,
    std::function<absl::Duration()> now);

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_SERVICE_H_
