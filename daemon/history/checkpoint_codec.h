// Checkpoints as rows of the history: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_CHECKPOINT_CODEC_H_
#define MUSTER_DAEMON_HISTORY_CHECKPOINT_CODEC_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "daemon/history/frame_codec.h"
#include "daemon/history/record.h"

namespace muster::history {

// What changes with every report: each rank's progress, attempts, open frames,
// alerts that are alive.
std::string EncodeProgress(const Checkpoint& checkpoint);
// What changes when a rank comes or goes: AssemblerState::sources_version.
std::string EncodeSources(const Checkpoint& checkpoint,
                          const FactNumber& facts);

// Both back, in this order; open reports and resolved alerts aside. DATA_LOSS
// if the bytes are damaged or not of each other.
absl::Status DecodeSources(std::string_view bytes, const FactLookup& facts,
                           Checkpoint& checkpoint);
absl::Status DecodeProgress(std::string_view bytes, Checkpoint& checkpoint);

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_CHECKPOINT_CODEC_H_
