// Just enough of sockets for a small HTTP server.
#ifndef MUSTER_DAEMON_WEB_SOCKET_H_
#define MUSTER_DAEMON_WEB_SOCKET_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace muster::web {

// Owns a file descriptor.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket();

  // -1 if there is none.
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// Listens on the first address that `host` stands for. A port that another
// socket listens on is an error, which names the address.
absl::StatusOr<Socket> ListenOn(const std::string& host, int port);

// The local port of a bound socket.
int BoundPort(const Socket& socket);

// Address of the other end, without its port; empty if it has none.
std::string PeerAddress(int descriptor);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_SOCKET_H_
