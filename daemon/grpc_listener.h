// The daemon's gRPC end: addresses, sockets and services.
#ifndef MUSTER_DAEMON_GRPC_LISTENER_H_
#define MUSTER_DAEMON_GRPC_LISTENER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/base/clock.h"
#include "daemon/identity/gate.h"
#include "daemon/listen/acceptor.h"
#include "daemon/listen/connection_limit.h"

namespace grpc {
class Server;
class ServerCredentials;
class Service;
}  // namespace grpc

namespace muster {

// Thread-safe; owned by the server that it belongs to.
class GrpcListener {
 public:
  // Serves at `addresses` (config.h), from now on, with TLS where `gate` says
  // so. It and the services outlive this. TCP connections are accepted here and
  // handed to gRPC 1.51, which has no limit of its own. The file of a Unix
  // socket that nobody listens on any more is replaced. The error says which
  // address could not be bound, and why.
  static absl::StatusOr<std::unique_ptr<GrpcListener>> Create(
      const std::string& addresses, int socket_mode,
      const std::vector<grpc::Service*>& services, const identity::Gate& gate,
      const listen::ConnectionLimits& limits, const Clock& clock);
  ~GrpcListener();

  // What was bound, ports filled in.
  const std::string& addresses() const { return addresses_; }
  listen::ConnectionStats connections() const { return limit_.stats(); }
  // Takes no new streams, and ends those that are open after `grace`.
  void Shutdown(absl::Duration grace);

 private:
  GrpcListener(const listen::ConnectionLimits& limits, const Clock& clock);

  std::string addresses_;
  listen::ConnectionLimit limit_;
  std::vector<std::shared_ptr<grpc::ServerCredentials>> credentials_;
  std::unique_ptr<grpc::Server> server_;
  // Hands on to the server until it is stopped.
  listen::Acceptor acceptor_;
};

}  // namespace muster

#endif  // MUSTER_DAEMON_GRPC_LISTENER_H_
