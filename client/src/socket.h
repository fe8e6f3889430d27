// Stream sockets that never block, and the addresses they connect to.
#ifndef MUSTER_CLIENT_SRC_SOCKET_H_
#define MUSTER_CLIENT_SRC_SOCKET_H_

#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "client/src/address.h"
#include "client/src/descriptor.h"

namespace muster {

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t length = 0;
};

// Where `address` may be reached if it is a path or its host a number, else
// nothing.
std::vector<SocketAddress> ResolveNumber(const Address& address);

// Where `address`, a name's, may be reached, best first. Asks the name service,
// which may block for as long as that is configured to. Empty with *error set
// (one line) if there is nothing.
std::vector<SocketAddress> Resolve(const Address& address, std::string* error);

// A connected or connecting socket, which no other process shares. Raises no
// SIGPIPE. Thread-compatible; owns the descriptor.
class Socket {
 public:
  // Begins to connect; poll for writing, then call Connected(). Requires: no
  // descriptor. False with *error set, as below.
  bool Connect(const SocketAddress& address, std::string* error);
  // Whether the connection has come about.
  bool Connected(std::string* error);

  // Bytes moved; 0 if that would block; -1 with *error set once the connection
  // is gone.
  ptrdiff_t Read(char* buffer, size_t size, std::string* error);
  ptrdiff_t Write(std::string_view data, std::string* error);

  // Ends the connection.
  void Close() { descriptor_.Close(); }

  // -1 if there is none.
  int descriptor() const { return descriptor_.value(); }

 private:
  Descriptor descriptor_;
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_SOCKET_H_
