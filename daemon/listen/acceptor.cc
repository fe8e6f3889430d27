#include "daemon/listen/acceptor.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"

namespace muster::listen {
namespace {

// So long a burst waits for us; the kernel has a limit of its own.
constexpr int kBacklog = 4096;
// What is accepted at one address before the others have their turn.
constexpr int kAtOnce = 64;
constexpr int kSweepMs = 1000;
constexpr int kNoFileMs = 50;
// As gRPC sets it where keepalive is on: a peer that does not take what was
// sent is gone.
constexpr unsigned kUserTimeoutMs = 10'000;

int OpenSpare() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

bool Set(int descriptor, int level, int name, unsigned value) {
  return ::setsockopt(descriptor, level, name, &value, sizeof(value)) == 0;
}

// Listens, with what accepted sockets inherit; -1 and errno where it cannot.
int ListenAt(const sockaddr* address, socklen_t size) {
  File file(::socket(address->sa_family,
                     SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (file.get() < 0) return -1;
  // Takes a port whose last connections linger; never one that is in use.
  if (!Set(file.get(), SOL_SOCKET, SO_REUSEADDR, 1) ||
      !Set(file.get(), IPPROTO_TCP, TCP_NODELAY, 1) ||
      !Set(file.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs)) {
    return -1;
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof(v6));
    const bool any = IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
    if (!Set(file.get(), IPPROTO_IPV6, IPV6_V6ONLY, any ? 0 : 1)) return -1;
  }
  if (::bind(file.get(), address, size) != 0 ||
      ::listen(file.get(), kBacklog) != 0) {
    return -1;
  }
  return file.Release();
}

int PortOf(int descriptor) {
  sockaddr_storage bound = {};
  socklen_t size = sizeof(bound);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size);
  return ntohs(bound.ss_family == AF_INET6
                   ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                   : reinterpret_cast<sockaddr_in&>(bound).sin_port);
}

bool IsAny(const sockaddr* address) {
  if (address->sa_family == AF_INET6) return false;
  sockaddr_in v4;
  std::memcpy(&v4, address, sizeof(v4));
  return v4.sin_addr.s_addr == INADDR_ANY;
}

}  // namespace

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int File::Release() { return std::exchange(descriptor_, -1); }

Acceptor::Acceptor(ConnectionLimit& limit,
                   std::function<absl::Duration()> clock)
    : limit_(limit),
      clock_(std::move(clock)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      spare_(std::make_unique<File>(OpenSpare())) {}

Acceptor::~Acceptor() { Stop(); }

absl::StatusOr<int> Acceptor::Listen(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) return absl::UnavailableError(::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found,
                                                             ::freeaddrinfo);
  const size_t before = listeners_.size();
  int why = 0;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    sockaddr_storage address = {};
    std::memcpy(&address, each->ai_addr, each->ai_addrlen);
    int listener = -1;
    if (IsAny(each->ai_addr)) {
      sockaddr_in6 both = {};
      both.sin6_family = AF_INET6;
      both.sin6_addr = in6addr_any;
      both.sin6_port = htons(static_cast<uint16_t>(port));
      listener =
          ListenAt(reinterpret_cast<const sockaddr*>(&both), sizeof(both));
    }
    if (listener < 0) {
      // The others of a name have the port that the first has got.
      if (address.ss_family == AF_INET6) {
        reinterpret_cast<sockaddr_in6&>(address).sin6_port =
            htons(static_cast<uint16_t>(port));
      } else {
        reinterpret_cast<sockaddr_in&>(address).sin_port =
            htons(static_cast<uint16_t>(port));
      }
      listener = ListenAt(reinterpret_cast<const sockaddr*>(&address),
                          each->ai_addrlen);
    }
    if (listener < 0) {
      why = errno;
      continue;
    }
    listeners_.push_back({addresses_, File(listener)});
    port = PortOf(listener);
  }
  if (listeners_.size() == before) {
    return absl::UnavailableError(std::strerror(why));
  }
  ++addresses_;
  return port;
}

void Acceptor::Start(Take take) {
  take_ = std::move(take);
  if (!listeners_.empty()) thread_ = std::thread([this] { Run(); });
}

void Acceptor::Stop() {
  if (thread_.joinable()) {
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }
  // Nobody is left waiting for an answer.
  listeners_.clear();
}

void Acceptor::Run() {
  std::vector<pollfd> waited = {{stop_.get(), POLLIN, 0}};
  for (const Listener& listener : listeners_) {
    waited.push_back({listener.file.get(), POLLIN, 0});
  }
  absl::Duration swept = clock_();
  while (true) {
    ::poll(waited.data(), waited.size(), kSweepMs);
    if (waited[0].revents != 0) return;
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (waited[i + 1].revents != 0) AcceptAll(listeners_[i]);
    }
    const absl::Duration now = clock_();
    if (now - swept < absl::Milliseconds(kSweepMs)) continue;
    swept = now;
    limit_.Sweep();
  }
}

void Acceptor::AcceptAll(const Listener& listener) {
  for (int i = 0; i < kAtOnce; ++i) {
    sockaddr_storage peer = {};
    socklen_t size = sizeof(peer);
    File file(::accept4(listener.file.get(), reinterpret_cast<sockaddr*>(&peer),
                        &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (file.get() < 0) {
      if (errno == EAGAIN) return;
      // Said before the kernel looks whether one waits.
      if ((errno == EMFILE || errno == ENFILE) &&
          !RefuseWithoutFile(listener.file.get())) {
        return;
      }
      continue;
    }
    if (limit_.Admit(file.get(), PeerOf(peer), clock_())) {
      const int listening = listener.file.get();
      take_(listener.address, listening, file.Release());
    }
  }
}

bool Acceptor::RefuseWithoutFile(int listener) {
  spare_.reset();
  const bool waited =
      File(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)).get() >= 0;
  if (waited) limit_.CountNoFile(clock_());
  spare_ = std::make_unique<File>(OpenSpare());
  if (spare_->get() >= 0) return waited;
  // Somebody else was faster: wait for better times rather than try and try.
  pollfd stop = {stop_.get(), POLLIN, 0};
  ::poll(&stop, 1, kNoFileMs);
  return false;
}

}  // namespace muster::listen
