// Frames as rows of the history: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_FRAME_CODEC_H_
#define MUSTER_DAEMON_HISTORY_FRAME_CODEC_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/history/record.h"

namespace muster::history {

// Number of a set of facts in its run, from 1; and back. Null if there is none.
using FactNumber =
    std::function<uint64_t(const std::shared_ptr<const frames::FactSet>&)>;
using FactLookup =
    std::function<std::shared_ptr<const frames::FactSet>(uint64_t)>;

// The per-rank columns of a frame's row; one value for each report, ascending
// by rank. Empty: nobody has one.
struct FrameColumns {
  std::string ranks;  // 4 bytes each, little endian
  // PackDoubles():
  std::string loss;
  std::string gradient_norm;
  std::string weight;
  std::string step_seconds;
  std::string gradient_cosine;  // from the measures
  // Everything else, and the measures as a whole: ColumnWriter.
  std::string more;
};

FrameColumns EncodeFrame(const Judged& judged, const FactNumber& facts);

// The reports and measures of `frame`, whose attempt, step and world size are
// filled in. DATA_LOSS if the columns are damaged; memory is bounded by their
// size and by the number of ranks.
absl::StatusOr<Judged> DecodeFrame(const FrameColumns& columns,
                                   frames::Frame frame,
                                   const FactLookup& facts);

// All sketches of a frame; empty if there is none.
std::string EncodeSketches(const frames::Frame& frame);
// Gives them back to the reports of the same frame.
absl::Status DecodeSketches(std::string_view bytes, frames::Frame& frame);

std::string EncodeOpenReport(const OpenReport& open, const FactNumber& facts);
absl::StatusOr<OpenReport> DecodeOpenReport(std::string_view bytes,
                                            const FactLookup& facts);

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_FRAME_CODEC_H_
