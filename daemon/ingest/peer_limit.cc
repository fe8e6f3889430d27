#include "daemon/ingest/peer_limit.h"

namespace muster::ingest {

std::unique_ptr<PeerLimit::Place> PeerLimit::Take(const std::string& peer) {
  std::string host = peer.substr(0, peer.rfind(':'));
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
