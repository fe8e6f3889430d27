// The daemon as a relay: both listeners around it.
#ifndef MUSTER_DAEMON_RELAY_SERVER_H_
#define MUSTER_DAEMON_RELAY_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/base/clock.h"
#include "daemon/config.h"

namespace muster {

// What Server is for a daemon that judges. Thread-compatible; owned by main.
class RelayServer {
 public:
  // Binds both addresses and serves. The error says which could not be bound.
  // Requires: config.relay.upstream is set.
  static absl::StatusOr<std::unique_ptr<RelayServer>> Create(
      const Config& config, Clock clock);
  // Takes no new streams, sends what is there for the grace time, leaves the
  // rest to the spool, and stops.
  ~RelayServer();

  const std::string& grpc_address() const;
  const std::string& http_address() const;
  // A relay's settings need a restart.
  void Reconfigure(const Config& config) {}

 private:
  class Impl;
  explicit RelayServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace muster

#endif  // MUSTER_DAEMON_RELAY_SERVER_H_
