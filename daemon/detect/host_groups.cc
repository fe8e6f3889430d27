#include "daemon/detect/host_groups.h"

#include <map>
#include <utility>

namespace muster::detect {

bool HostGroups::Place(uint32_t rank, const std::string& host) {
  if (rank >= hosts_.size()) hosts_.resize(rank + 1);
  if (hosts_[rank] == host) return false;
  hosts_[rank] = host;
  return true;
}

const std::string& HostGroups::HostOf(uint32_t rank) const {
  static const auto* const kUnknown = new std::string();
  return rank < hosts_.size() ? hosts_[rank] : *kUnknown;
}

void HostGroups::Rebuild(uint32_t world_size) {
  groups_.clear();
  group_of_.assign(world_size, kNone);
  std::map<std::string, std::vector<uint32_t>> by_host;
  for (uint32_t rank = 0; rank < world_size; ++rank) {
    by_host[HostOf(rank)].push_back(rank);
  }
  if (by_host.size() < 2) return;
  for (auto& [host, ranks] : by_host) {
    if (host.empty() || ranks.size() < 2) continue;
    for (uint32_t rank : ranks) group_of_[rank] = groups_.size();
    groups_.push_back({host, std::move(ranks)});
  }
}

}  // namespace muster::detect
