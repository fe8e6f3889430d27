// The gate for services over gRPC.
#ifndef MUSTER_DAEMON_IDENTITY_GRPC_SERVER_H_
#define MUSTER_DAEMON_IDENTITY_GRPC_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/identity/gate.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_context.h"

namespace muster::identity {

// For a listener: TLS with what the gate has when a connection begins, so that
// certificates change without a stream being dropped; plain where `address` is
// a Unix socket or the gate has no TLS. `gate` and what is returned outlive the
// server.
std::shared_ptr<grpc::ServerCredentials> ServerCredentials(
    const Gate& gate, const std::string& address);

// Who calls. UNAUTHENTICATED as Gate::Identify.
absl::StatusOr<Caller> CallerOf(const Gate& gate,
                                const grpc::CallbackServerContext& context);

// As CallerOf, but an error as well, and counted, for one who may not do this
// with any run.
absl::StatusOr<Caller> Admit(Gate& gate, Verb verb,
                             const grpc::CallbackServerContext& context);

}  // namespace muster::identity

#endif  // MUSTER_DAEMON_IDENTITY_GRPC_SERVER_H_
