// Streams to the upstream over gRPC.
#ifndef MUSTER_DAEMON_RELAY_GRPC_UPSTREAM_H_
#define MUSTER_DAEMON_RELAY_GRPC_UPSTREAM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "daemon/relay/options.h"
#include "daemon/relay/upstream.h"

namespace muster::relay {

// All streams share one connection, until the files of TLS have changed: who
// opens one then speaks with the new ones. It must outlive them, and its
// destruction waits until gRPC has called back for the last time. Errors name a
// file that cannot be used.
absl::StatusOr<std::unique_ptr<Upstream>> MakeGrpcUpstream(
    const Options& options);

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_GRPC_UPSTREAM_H_
