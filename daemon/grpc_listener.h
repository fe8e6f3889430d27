// The daemon's gRPC end: addresses, sockets and services.
#ifndef MUSTER_DAEMON_GRPC_LISTENER_H_
#define MUSTER_DAEMON_GRPC_LISTENER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/identity/gate.h"

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
  // so. It and the services outlive this. The
  // file of a Unix socket that nobody listens on any more is replaced. The
  // error says which address could not be bound, and why.
  static absl::StatusOr<std::unique_ptr<GrpcListener>> Create(
      const std::string& addresses, int socket_mode,
      const std::vector<grpc::Service*>& services, const identity::Gate& gate);
  ~GrpcListener();

  // What was bound, ports filled in.
  const std::string& addresses() const { return addresses_; }
  // Takes no new streams, and ends those that are open after `grace`.
  void Shutdown(absl::Duration grace);

 private:
  GrpcListener();
  std::string addresses_;
  std::vector<std::shared_ptr<grpc::ServerCredentials>> credentials_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace muster

#endif  // MUSTER_DAEMON_GRPC_LISTENER_H_
