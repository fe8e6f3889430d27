#include "daemon/web/socket_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "daemon/web/socket.h"

namespace muster::web {

SocketStream::SocketStream(int descriptor, absl::Duration read_timeout,
                           absl::Duration write_timeout)
    : descriptor_(descriptor),
      read_timeout_(read_timeout),
      write_timeout_(write_timeout) {}

void SocketStream::StartRequest(absl::Duration timeout) {
  deadline_ = Clock::now() + absl::ToChronoMilliseconds(timeout);
}

bool SocketStream::WaitForRequest(absl::Duration timeout) const {
  return Wait(POLLIN, timeout);
}

bool SocketStream::is_readable() const { return Wait(POLLIN, read_timeout_); }

bool SocketStream::is_writable() const { return Wait(POLLOUT, write_timeout_); }

ssize_t SocketStream::read(char* data, size_t size) {
  if (!is_readable()) return -1;
  return ::recv(descriptor_, data, size, 0);
}

ssize_t SocketStream::write(const char* data, size_t size) {
  if (!is_writable()) return -1;
  return ::send(descriptor_, data, size, MSG_NOSIGNAL);
}

void SocketStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip = PeerAddress(descriptor_);
  port = 0;
}

void SocketStream::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

bool SocketStream::Wait(short events, absl::Duration timeout) const {
  auto end = Clock::now() + absl::ToChronoMilliseconds(timeout);
  end = std::min(end, deadline_);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - Clock::now());
    if (left.count() <= 0) return false;
    pollfd waited = {descriptor_, events, 0};
    const int ready = ::poll(&waited, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

}  // namespace muster::web
