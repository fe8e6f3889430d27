// Which ranks share a host: faults of hardware befall them together.
#ifndef MUSTER_DAEMON_DETECT_HOST_GROUPS_H_
#define MUSTER_DAEMON_DETECT_HOST_GROUPS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace muster::detect {

struct HostGroup {
  std::string name;
  std::vector<uint32_t> ranks;  // ascending, two at least
};

// What ranks say of their hosts, and the groups that follow. Thread-compatible;
// one name for each rank that was ever seen.
class HostGroups {
 public:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  // The rank's process runs on `host`; empty: it does not say. True if that is
  // news.
  bool Place(uint32_t rank, const std::string& host);
  // Groups the ranks below `world_size`: hosts with two ranks or more, by name.
  // None where all ranks are on one host: there is nothing to compare it with.
  void Rebuild(uint32_t world_size);

  const std::vector<HostGroup>& groups() const { return groups_; }
  // Index of the rank's group, kNone if it has none.
  size_t GroupOf(uint32_t rank) const {
    return rank < group_of_.size() ? group_of_[rank] : kNone;
  }
  // The host of the rank; empty if unknown.
  const std::string& HostOf(uint32_t rank) const;

 private:
  std::vector<std::string> hosts_;  // by rank
  std::vector<HostGroup> groups_;
  std::vector<size_t> group_of_;  // by rank
};

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_HOST_GROUPS_H_
