// What the assembler knows of one rank: its current source and its past ones.
// Internal to this room, but for storing it.
#ifndef MUSTER_DAEMON_FRAMES_RANK_STATE_H_
#define MUSTER_DAEMON_FRAMES_RANK_STATE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "daemon/frames/assembler.h"

namespace muster::frames {

// An incarnation that a newer one of its rank has replaced.
struct Superseded {
  uint64_t incarnation = 0;
  Instant at;
  // The newer incarnation about which an event has been emitted; 0 if none.
  uint64_t contested_with = 0;
};

struct RankState {
  // Past incarnations that are remembered, the newest ones.
  static constexpr size_t kSupersededKept = 64;

  FrameAssembler::SourceState source;
  // A report of this incarnation has been settled.
  bool has_sequence = false;
  // A report with the source's present facts has been kept.
  bool facts_kept = false;
  // The rank is no longer waited for.
  bool absent = false;
  // The start of the whole job that its source belongs to.
  uint64_t generation = 0;
  // Its source's newest Hello.
  Instant greeted;
  // Newest attempt in which an earlier incarnation reported; 0 if none.
  uint32_t earlier_attempt = 0;
  std::deque<Superseded> superseded;

  // Null if the incarnation is not among the superseded ones.
  Superseded* FindSuperseded(uint64_t incarnation) {
    for (Superseded& past : superseded) {
      if (past.incarnation == incarnation) return &past;
    }
    return nullptr;
  }

  // Puts the current source among the superseded ones.
  void RememberSuperseded(Instant now) {
    superseded.push_back({source.info.incarnation, now});
    if (superseded.size() > kSupersededKept) superseded.pop_front();
    earlier_attempt = std::max(earlier_attempt, source.attempt);
  }

  // Takes note of a report's sequence; returns how many are missing before it.
  uint64_t SettleSequence(uint64_t sequence) {
    // What was sent before this daemon first heard of the incarnation is not
    // lost.
    const uint64_t missing =
        has_sequence ? sequence - source.last_sequence - 1 : 0;
    has_sequence = true;
    source.last_sequence = sequence;
    source.dropped += missing;
    return missing;
  }
};

}  // namespace muster::frames

#endif  // MUSTER_DAEMON_FRAMES_RANK_STATE_H_
