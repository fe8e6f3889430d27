#include "daemon/web/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace muster::web {
namespace {

// A burst of connections above this is retried by the clients' kernels only
// after a second.
constexpr int kBacklog = 1024;

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

absl::StatusOr<Socket> ListenOn(const std::string& host, int port) {
  const std::string address = absl::StrCat(host, ":", port);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", address, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found,
                                                             ::freeaddrinfo);
  Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC,
                         found->ai_protocol));
  // Takes a port whose last connections linger; never one that is in use.
  const int on = 1;
  if (socket.descriptor() >= 0 &&
      ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on,
                   sizeof(on)) == 0 &&
      ::bind(socket.descriptor(), found->ai_addr, found->ai_addrlen) == 0 &&
      ::listen(socket.descriptor(), kBacklog) == 0) {
    return socket;
  }
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", address, ": ", std::strerror(errno)));
}

int BoundPort(const Socket& socket) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (::getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&address),
                    &size) != 0) {
    return 0;
  }
  return address.ss_family == AF_INET6
             ? ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port)
             : ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
}

std::string PeerAddress(int descriptor) {
  sockaddr_storage peer = {};
  socklen_t size = sizeof(peer);
  char host[NI_MAXHOST] = "";
  auto* const address = reinterpret_cast<sockaddr*>(&peer);
  if (::getpeername(descriptor, address, &size) != 0 ||
      ::getnameinfo(address, size, host, sizeof(host), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
    return "";
  }
  return host;
}

}  // namespace muster::web
