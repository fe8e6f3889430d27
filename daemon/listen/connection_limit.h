// How many connections each peer, and all of them together, have open.
#ifndef MUSTER_DAEMON_LISTEN_CONNECTION_LIMIT_H_
#define MUSTER_DAEMON_LISTEN_CONNECTION_LIMIT_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "absl/time/time.h"
#include "daemon/base/mutex.h"

namespace muster::listen {

struct ConnectionLimits {
  // Larger: more ranks behind one address; smaller: less memory for one who is
  // hostile.
  int per_peer = 4096;
  // The bound on memory for connections, whoever opens them.
  int total = 16384;
};

struct ConnectionStats {
  size_t open = 0;
  uint64_t refused_peer = 0;   // the peer had as many as it may
  uint64_t refused_all = 0;    // too few places were left
  uint64_t refused_files = 0;  // the process had no file descriptor left
};

// Who a socket address is, for counting: the IPv4 address, also in its IPv6
// form, or the /64 network of an IPv6 address, which is one customer's.
std::string PeerOf(const sockaddr_storage& address);

// Counts connections that somebody else owns and closes without a word: a
// descriptor that does not name the same socket any more has ended. It is
// looked at when a limit is reached, and at each Sweep(). No peer may have more
// than are left for the others, so that a few hostile ones cannot take all: n
// of them leave total/(n+1).
//
// Thread-safe; owned by the listener.
class ConnectionLimit {
 public:
  // The number of the socket behind a descriptor, 0 if there is none.
  using SocketNumber = std::function<uint64_t(int descriptor)>;
  using LogFunction = std::function<void(const std::string& line)>;

  ConnectionLimit(const ConnectionLimits& limits, SocketNumber number,
                  LogFunction log);

  // Takes a place for a new connection, or counts and tells that there is none;
  // then the caller closes it. `now`: the monotonic clock.
  bool Admit(int descriptor, const std::string& peer, absl::Duration now);
  // There was no file descriptor for a connection.
  void CountNoFile(absl::Duration now);
  // Gives back the places of what has ended.
  void Sweep();
  ConnectionStats stats() const;

  // fstat(2)'s number.
  static uint64_t InodeOf(int descriptor);

 private:
  struct Connection {
    uint64_t number;
    std::string peer;
  };
  // A line about what goes on and on.
  struct Told {
    absl::Duration at = -absl::InfiniteDuration();
    uint64_t since = 0;  // refusals that no line has counted
  };
  struct Peer {
    std::unordered_set<int> descriptors;
    absl::Duration swept = -absl::InfiniteDuration();
    Told told;
  };

  size_t CountOf(const std::string& peer) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  size_t Left() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(int descriptor) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SweepAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SweepPeer(const std::string& peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The line to log; empty where one was written of late.
  static std::string Line(Told& told, absl::Duration now,
                          const std::string& what);

  const ConnectionLimits limits_;
  const SocketNumber number_;
  const LogFunction log_;

  mutable Mutex mutex_;
  std::unordered_map<int, Connection> connections_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, Peer> peers_ ABSL_GUARDED_BY(mutex_);
  absl::Duration swept_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  uint64_t refused_peer_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t refused_all_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t refused_files_ ABSL_GUARDED_BY(mutex_) = 0;
  Told told_all_ ABSL_GUARDED_BY(mutex_);
  Told told_files_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::listen

#endif  // MUSTER_DAEMON_LISTEN_CONNECTION_LIMIT_H_
