// Sockets that listen, and the one thread that accepts on them.
#ifndef MUSTER_DAEMON_LISTEN_ACCEPTOR_H_
#define MUSTER_DAEMON_LISTEN_ACCEPTOR_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/base/clock.h"
#include "daemon/listen/connection_limit.h"

namespace muster::listen {

// Owns a file descriptor.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(other.Release()) {}
  File& operator=(File&&) = delete;
  ~File();
  int get() const { return descriptor_; }
  int Release();

 private:
  int descriptor_;
};

// Accepts TCP connections on several addresses, has each counted and hands it
// on, or closes it at once. Thread-compatible; owned by the listener.
class Acceptor {
 public:
  // Takes a connection that does not block, and owns it. `address`: index of
  // where it came in, in the order of Listen().
  using Take =
      std::function<void(size_t address, int listener, int descriptor)>;

  // `limit` outlives it. `clock`: monotonic.
  Acceptor(ConnectionLimit& limit, std::function<absl::Duration()> clock);
  // As Stop().
  ~Acceptor();

  // Binds all that `host` stands for, and returns the port; 0 takes any. As in
  // gRPC, the IPv4 and the IPv6 address of all interfaces are both of them. The
  // error says why not, without the address. Before Start().
  absl::StatusOr<int> Listen(const std::string& host, int port);
  // Accepts from now on. Until then connections wait in the kernel.
  void Start(Take take);
  // Takes no connection after it has returned.
  void Stop();

 private:
  struct Listener {
    size_t address;
    File file;
  };

  void Run();
  void AcceptAll(const Listener& listener);
  // False if no connection waits after all.
  bool RefuseWithoutFile(int listener);

  ConnectionLimit& limit_;
  const std::function<absl::Duration()> clock_;
  std::vector<Listener> listeners_;
  size_t addresses_ = 0;
  Take take_;
  File stop_;
  // Given up for a moment to close a connection when there is no other.
  std::unique_ptr<File> spare_;
  std::thread thread_;
};

}  // namespace muster::listen

#endif  // MUSTER_DAEMON_LISTEN_ACCEPTOR_H_
