#include "daemon/ingest/peer_limit.h"

namespace muster::ingest {

std::string HostOf(const std::string& peer) {
  return peer.substr(0, peer.rfind(':'));
}

std::unique_ptr<PeerLimit::Place> PeerLimit::Take(const std::string& peer) {
  std::string host = HostOf(peer);
  MutexLock lock(mutex_);
  int& count = streams_[host];
  if (count >= max_per_peer_) return nullptr;
  ++count;
  return std::make_unique<Place>(*this, std::move(host));
}

void PeerLimit::Release(const std::string& host) {
  MutexLock lock(mutex_);
  const auto found = streams_.find(host);
  if (--found->second == 0) streams_.erase(found);
}

}  // namespace muster::ingest
