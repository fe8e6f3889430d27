// The daemon's HTTP end, beside its gRPC end in grpc_listener.h.
#ifndef MUSTER_DAEMON_HTTP_LISTENER_H_
#define MUSTER_DAEMON_HTTP_LISTENER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/identity/gate.h"
#include "daemon/web/http_server.h"

namespace muster {

struct HttpListener {
  std::unique_ptr<web::HttpServer> server;
  // What was bound: HOST:PORT, the port filled in.
  std::string address;
};

// Serves at `address` (HOST:PORT) from now on; errors as HttpServer::Create.
// `gate` outlives the server.
absl::StatusOr<HttpListener> ListenOverHttp(const std::string& address,
                                            web::Source source,
                                            identity::Gate& gate);

}  // namespace muster

#endif  // MUSTER_DAEMON_HTTP_LISTENER_H_
