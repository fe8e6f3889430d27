// Streams to the upstream over gRPC.
#ifndef MUSTER_DAEMON_RELAY_GRPC_UPSTREAM_H_
#define MUSTER_DAEMON_RELAY_GRPC_UPSTREAM_H_

#include <memory>

#include "daemon/relay/options.h"
#include "daemon/relay/upstream.h"

namespace muster::relay {

// All streams share one connection. It must outlive them, and its destruction
// waits until gRPC has called back for the last time.
std::unique_ptr<Upstream> MakeGrpcUpstream(const Options& options);

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_GRPC_UPSTREAM_H_
