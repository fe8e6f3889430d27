// Who differs, when ranks state values that should be the same.
#ifndef MUSTER_DAEMON_DETECT_FACT_VOTE_H_
#define MUSTER_DAEMON_DETECT_FACT_VOTE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster::detect {

struct Vote {
  uint32_t rank = 0;
  // Null: not stated. Borrowed for the call.
  const std::string* value = nullptr;
};

struct Disagreement {
  std::vector<uint32_t> ranks;  // those that differ, ascending
  size_t values = 0;            // distinct ones, "not stated" included
  std::string evidence;         // one sentence: values and who states them
};

// Absent if the ranks (ascending) agree. Where more than half of those that
// state a value state the same one, the others differ; where no value has such
// a majority, all that state one do. Ranks that state nothing differ only if
// more than half of all ranks state something: a fact that few mention is
// nobody's duty.
std::optional<Disagreement> FindDisagreement(std::string_view name,
                                             std::span<const Vote> votes);

}  // namespace muster::detect

#endif  // MUSTER_DAEMON_DETECT_FACT_VOTE_H_
