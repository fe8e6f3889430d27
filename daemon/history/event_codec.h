// Events and alerts as rows of the history: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_EVENT_CODEC_H_
#define MUSTER_DAEMON_HISTORY_EVENT_CODEC_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "daemon/history/frame_codec.h"
#include "daemon/history/record.h"

namespace muster::history {

// What the columns of an event's row say; `body` has all of it.
struct EventColumns {
  std::string kind;  // "source_up", "ticks", …
  std::optional<uint32_t> rank;
  std::optional<uint32_t> attempt;
  std::string body;
};

// Requires: not Judged.
EventColumns EncodeEvent(const Body& event, const FactNumber& facts);
// DATA_LOSS if the row is damaged or of an unknown kind.
absl::StatusOr<Body> DecodeEvent(std::string_view kind, std::string_view body,
                                 const FactLookup& facts);

std::string EncodeAlert(const alert::Alert& alert);
absl::StatusOr<alert::Alert> DecodeAlert(std::string_view bytes);

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_EVENT_CODEC_H_
