// The Query service of query.proto over gRPC: the same answers as the HTTP API.
#ifndef MUSTER_DAEMON_WEB_QUERY_SERVICE_H_
#define MUSTER_DAEMON_WEB_QUERY_SERVICE_H_

#include <memory>

#include "daemon/identity/gate.h"
#include "daemon/web/source.h"
#include "grpcpp/impl/codegen/service_type.h"

namespace muster::web {

// Unary calls by the callback API: answers from snapshots at once; what reads
// the history is answered by up to two threads of its own. The service, and
// `gate`, must outlive the server it is registered with; without a gate
// everybody may see everything.
std::unique_ptr<grpc::Service> MakeQueryService(Source source,
                                                identity::Gate* gate = nullptr);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_QUERY_SERVICE_H_
