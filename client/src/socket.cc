#include "client/src/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace muster {
namespace {

// Thread-safe, unlike strerror().
std::string Describe(int code) { return std::generic_category().message(code); }

bool WouldBlock(int code) { return code == EAGAIN || code == EINTR; }

// getaddrinfo() for the host and port of `address`; its error code.
int Ask(const Address& address, int flags, std::vector<SocketAddress>* found) {
  std::string host;
  std::string port;
  SplitTarget(address.target, &host, &port);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  if (code != 0) return code;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_addrlen > sizeof(sockaddr_storage)) continue;
    SocketAddress one;
    std::memcpy(&one.storage, entry->ai_addr, entry->ai_addrlen);
    one.length = entry->ai_addrlen;
    found->push_back(one);
  }
  freeaddrinfo(list);
  return 0;
}

}  // namespace

std::vector<SocketAddress> ResolveNumber(const Address& address) {
  std::vector<SocketAddress> found;
  if (address.kind == Address::Kind::kUnix) {
    SocketAddress one;
    auto* name = reinterpret_cast<sockaddr_un*>(&one.storage);
    name->sun_family = AF_UNIX;
    address.target.copy(name->sun_path, sizeof(name->sun_path) - 1);
    one.length = sizeof(sockaddr_un);
    found.push_back(one);
  } else {
    Ask(address, AI_NUMERICHOST, &found);
  }
  return found;
}

std::vector<SocketAddress> Resolve(const Address& address, std::string* error) {
  std::vector<SocketAddress> found;
  const int code = Ask(address, AI_ADDRCONFIG, &found);
  if (code != 0) {
    *error = "address " + address.target + ": " + gai_strerror(code);
  }
  return found;
}

bool Socket::Connect(const SocketAddress& address, std::string* error) {
  const int family = address.storage.ss_family;
  if (!descriptor_.Open(family)) {
    *error = "socket: " + Describe(errno);
    return false;
  }
  if (family != AF_UNIX) {
    const int on = 1;
    setsockopt(descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  if (connect(descriptor(), reinterpret_cast<const sockaddr*>(&address.storage),
              address.length) == 0 ||
      errno == EINPROGRESS || errno == EINTR) {
    return true;
  }
  *error = "connect: " + Describe(errno);
  Close();
  return false;
}

bool Socket::Connected(std::string* error) {
  int code = 0;
  socklen_t length = sizeof(code);
  if (getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &code, &length) != 0) {
    code = errno;
  }
  if (code == 0) return true;
  *error = "connect: " + Describe(code);
  return false;
}

ptrdiff_t Socket::Read(char* buffer, size_t size, std::string* error) {
  const ssize_t count = recv(descriptor(), buffer, size, 0);
  if (count > 0) return count;
  if (count < 0 && WouldBlock(errno)) return 0;
  *error = count == 0 ? "the daemon closed the connection"
                      : "read: " + Describe(errno);
  return -1;
}

ptrdiff_t Socket::Write(std::string_view data, std::string* error) {
  const ssize_t count =
      send(descriptor(), data.data(), data.size(), MSG_NOSIGNAL);
  if (count >= 0) return count;
  if (WouldBlock(errno)) return 0;
  *error = "write: " + Describe(errno);
  return -1;
}

}  // namespace muster
