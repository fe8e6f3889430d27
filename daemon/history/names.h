// Names of enumerations in the tables: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_NAMES_H_
#define MUSTER_DAEMON_HISTORY_NAMES_H_

#include <array>
#include <optional>
#include <string_view>

#include "daemon/frames/frame.h"

namespace muster::history {

// In the order of frames::CloseReason.
inline constexpr std::array<const char*, 5> kCloseReasons = {
    "all_reported", "timeout", "overflow", "superseded", "run_ended"};

inline const char* NameOf(frames::CloseReason reason) {
  return kCloseReasons[static_cast<size_t>(reason)];
}

inline std::optional<frames::CloseReason> CloseReasonOf(std::string_view name) {
  for (size_t i = 0; i < kCloseReasons.size(); ++i) {
    if (name == kCloseReasons[i]) return static_cast<frames::CloseReason>(i);
  }
  return std::nullopt;
}

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_NAMES_H_
