// The daemon as a whole: rooms wired together, both listeners, the ticker.
#ifndef MUSTER_DAEMON_SERVER_H_
#define MUSTER_DAEMON_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/base/clock.h"
#include "daemon/config.h"

namespace muster {

// Thread-compatible; owned by main.
class Server {
 public:
  // Binds both addresses and serves. The error says which could not be bound.
  static absl::StatusOr<std::unique_ptr<Server>> Create(const Config& config,
                                                        Clock clock);
  // As Shutdown().
  ~Server();

  // What was bound, ports filled in: "127.0.0.1:41234".
  const std::string& grpc_address() const;
  const std::string& http_address() const;

  // Detection and frame options for runs that begin from now on.
  void Reconfigure(const Config& config);

  // Not ready from now on; ends streams, judges what is queued, then stops.
  // Takes a few seconds at most. Idempotent.
  void Shutdown();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace muster

#endif  // MUSTER_DAEMON_SERVER_H_
