#include "daemon/listen/connection_limit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace muster::listen {
namespace {

// A refusal looks at what a peer has at most so often: who is refused all the
// time must not make us look all the time.
constexpr absl::Duration kSweepAgain = absl::Milliseconds(200);
constexpr absl::Duration kTellAgain = absl::Minutes(1);

std::string Shown(int family, const void* address) {
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(family, address, text, sizeof(text));
  return text;
}

}  // namespace

std::string PeerOf(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof(v4));
    return Shown(AF_INET, &v4.sin_addr);
  }
  if (address.ss_family != AF_INET6) return "";
  sockaddr_in6 v6;
  std::memcpy(&v6, &address, sizeof(v6));
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    return Shown(AF_INET, &v6.sin6_addr.s6_addr[12]);
  }
  in6_addr network = v6.sin6_addr;
  std::fill(network.s6_addr + 8, network.s6_addr + 16, uint8_t{0});
  return absl::StrCat(Shown(AF_INET6, &network), "/64");
}

ConnectionLimit::ConnectionLimit(const ConnectionLimits& limits,
                                 SocketNumber number, LogFunction log)
    : limits_(limits), number_(std::move(number)), log_(std::move(log)) {}

bool ConnectionLimit::Admit(int descriptor, const std::string& peer,
                            absl::Duration now) {
  const auto per_peer = static_cast<size_t>(limits_.per_peer);
  std::string line;
  {
    MutexLock lock(mutex_);
    // The kernel has given the number away again: what had it has ended.
    Remove(descriptor);
    const auto found = peers_.find(peer);
    if (found != peers_.end() && CountOf(peer) >= std::min(per_peer, Left()) &&
        now - found->second.swept >= kSweepAgain) {
      found->second.swept = now;
      SweepPeer(peer);
    }
    if (CountOf(peer) >= Left() && now - swept_ >= kSweepAgain) {
      swept_ = now;
      SweepAll();
    }
    const size_t count = CountOf(peer);
    if (count < per_peer && count < Left()) {
      connections_.emplace(descriptor, Connection{number_(descriptor), peer});
      peers_[peer].descriptors.insert(descriptor);
      return true;
    }
    if (count >= per_peer) {
      ++refused_peer_;
      line =
          Line(peers_[peer].told, now,
               absl::StrCat(peer, " has ", count,
                            " connections, limits.max_connections_per_peer"));
    } else {
      ++refused_all_;
      line = Line(
          told_all_, now,
          absl::StrCat(connections_.size(), " are open of ", limits_.total,
                       ", limits.max_connections; ", peer, " has ", count));
    }
  }
  if (!line.empty()) log_(line);
  return false;
}

void ConnectionLimit::CountNoFile(absl::Duration now) {
  std::string line;
  {
    MutexLock lock(mutex_);
    ++refused_files_;
    line = Line(told_files_, now, "no file descriptor is left");
  }
  if (!line.empty()) log_(line);
}

void ConnectionLimit::Sweep() {
  MutexLock lock(mutex_);
  SweepAll();
}

ConnectionStats ConnectionLimit::stats() const {
  MutexLock lock(mutex_);
  return {.open = connections_.size(),
          .refused_peer = refused_peer_,
          .refused_all = refused_all_,
          .refused_files = refused_files_};
}

uint64_t ConnectionLimit::InodeOf(int descriptor) {
  struct stat found;
  if (::fstat(descriptor, &found) != 0 || !S_ISSOCK(found.st_mode)) return 0;
  return found.st_ino;
}

size_t ConnectionLimit::CountOf(const std::string& peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? 0 : found->second.descriptors.size();
}

size_t ConnectionLimit::Left() const {
  return static_cast<size_t>(limits_.total) - connections_.size();
}

void ConnectionLimit::Remove(int descriptor) {
  const auto found = connections_.find(descriptor);
  if (found == connections_.end()) return;
  const auto peer = peers_.find(found->second.peer);
  peer->second.descriptors.erase(descriptor);
  if (peer->second.descriptors.empty()) peers_.erase(peer);
  connections_.erase(found);
}

void ConnectionLimit::SweepAll() {
  std::vector<int> ended;
  for (const auto& [descriptor, connection] : connections_) {
    if (number_(descriptor) != connection.number) ended.push_back(descriptor);
  }
  for (const int descriptor : ended) Remove(descriptor);
}

void ConnectionLimit::SweepPeer(const std::string& peer) {
  std::vector<int> ended;
  for (const int descriptor : peers_.at(peer).descriptors) {
    if (number_(descriptor) != connections_.at(descriptor).number) {
      ended.push_back(descriptor);
    }
  }
  for (const int descriptor : ended) Remove(descriptor);
}

std::string ConnectionLimit::Line(Told& told, absl::Duration now,
                                  const std::string& what) {
  ++told.since;
  if (now - told.at < kTellAgain) return "";
  told.at = now;
  return absl::StrCat("connection refused (",
                      std::exchange(told.since, uint64_t{0}),
                      " since this was last said): ", what);
}

}  // namespace muster::listen
