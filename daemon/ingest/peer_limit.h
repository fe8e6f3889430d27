// How many streams each peer has open.
#ifndef MUSTER_DAEMON_INGEST_PEER_LIMIT_H_
#define MUSTER_DAEMON_INGEST_PEER_LIMIT_H_

#include <map>
#include <memory>
#include <string>

#include "daemon/base/mutex.h"

namespace muster::ingest {

// Of a peer as gRPC says it, such as "ipv4:10.0.0.7:41234": all but the port.
std::string HostOf(const std::string& peer);

// Thread-safe; outlives its places.
class PeerLimit {
 public:
  // Held by a stream while it lives.
  class Place;

  explicit PeerLimit(int max_per_peer) : max_per_peer_(max_per_peer) {}

  // Null if the host of `peer`, as gRPC says it, has as many as it may.
  std::unique_ptr<Place> Take(const std::string& peer);

 private:
  void Release(const std::string& host);

  const int max_per_peer_;
  Mutex mutex_;
  std::map<std::string, int> streams_ ABSL_GUARDED_BY(mutex_);  // by host
};

class PeerLimit::Place {
 public:
  Place(PeerLimit& limit, std::string host)
      : limit_(limit), host_(std::move(host)) {}
  ~Place() { limit_.Release(host_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  PeerLimit& limit_;
  const std::string host_;
};

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_PEER_LIMIT_H_
