// What a relay counts.
#ifndef MUSTER_DAEMON_RELAY_STATS_H_
#define MUSTER_DAEMON_RELAY_STATS_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace muster::relay {

enum class UpstreamState {
  kIdle,          // there is nothing to be sent
  kConnecting,    // asked, and not answered yet
  kUp,            // it answers
  kAway,          // it cannot be reached, or went away
  kLoop,          // it is this relay, or leads back to it
  kIncompatible,  // it speaks another major version of the protocol
};
inline constexpr std::array<const char*, 6> kUpstreamStates = {
    "idle", "connecting", "up", "away", "loop", "incompatible"};

// Where reports are lost.
enum class Where { kMemory, kSpool, kAge, kCorrupt, kRefused };
inline constexpr std::array<const char*, 5> kPlaces = {"memory", "spool", "age",
                                                       "corrupt", "refused"};

struct SpoolStats {
  bool ok = false;
  uint64_t reports = 0;
  uint64_t bytes = 0;
  uint64_t limit_bytes = 0;
  uint64_t spooled = 0;
  uint64_t errors = 0;
  uint64_t set_aside = 0;
};

struct Counts {
  uint64_t received = 0;
  uint64_t forwarded = 0;
  uint64_t upstream_failures = 0;
  std::map<std::string, uint64_t> refused;  // by reason
  std::array<uint64_t, kPlaces.size()> dropped = {};

  void Drop(Where where, uint64_t reports = 1) {
    dropped[static_cast<size_t>(where)] += reports;
  }
};

struct UpstreamStatus {
  UpstreamState state = UpstreamState::kIdle;
  absl::Time since;
  std::string last_error;  // empty: none yet
};

struct Stats {
  std::string upstream;  // its address
  UpstreamStatus status;
  Counts counts;
  uint64_t runs = 0;
  uint64_t sources = 0;  // ranks that are connected
  uint64_t memory_reports = 0;
  uint64_t memory_bytes = 0;
  // When the oldest that waits was taken; infinite future if none does.
  absl::Time oldest = absl::InfiniteFuture();
  std::optional<SpoolStats> spool;
};

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_STATS_H_
