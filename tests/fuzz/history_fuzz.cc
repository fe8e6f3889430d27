// Whatever bytes a history's rows hold, they are read or refused. The first
// byte says as what: a frame's columns (each with two bytes of length before
// it), an event (its kind as a number), an open report, an alert, a checkpoint.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/history/checkpoint_codec.h"
#include "daemon/history/event_codec.h"
#include "daemon/history/frame_codec.h"

namespace {

using namespace muster;

std::shared_ptr<const frames::FactSet> NoFacts(uint64_t) { return nullptr; }
uint64_t NoNumber(const std::shared_ptr<const frames::FactSet>&) { return 0; }

std::string Piece(std::string_view& bytes) {
  if (bytes.size() < 2) return "";
  const size_t length = static_cast<unsigned char>(bytes[0]) |
                        static_cast<unsigned char>(bytes[1]) << 8;
  bytes.remove_prefix(2);
  std::string piece(bytes.substr(0, length));
  bytes.remove_prefix(piece.size());
  return piece;
}

void TakeFrame(std::string_view bytes) {
  history::FrameColumns columns;
  for (std::string* column :
       {&columns.ranks, &columns.loss, &columns.gradient_norm, &columns.weight,
        &columns.step_seconds, &columns.more}) {
    *column = Piece(bytes);
  }
  const std::string sketches = Piece(bytes);
  const auto judged = history::DecodeFrame(columns, frames::Frame(), NoFacts);
  if (!judged.ok()) return;
  // What was read can be written.
  history::EncodeFrame(*judged, NoNumber);
  frames::Frame frame = *judged->frame;
  (void)history::DecodeSketches(sketches, frame);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t what = data[0];
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1),
                               size - 1);
  constexpr std::array<const char*, 8> kKinds = {
      "source_up",     "source_down", "rank_contested", "sketch_refused",
      "attempt_began", "run_ended",   "ticks",          "resumed"};
  if (what == 0) {
    TakeFrame(bytes);
  } else if (what <= kKinds.size()) {
    const auto event = history::DecodeEvent(kKinds[what - 1], bytes, NoFacts);
    if (event.ok()) history::EncodeEvent(*event, NoNumber);
  } else if (what == 9) {
    (void)history::DecodeOpenReport(bytes, NoFacts);
  } else if (what == 10) {
    const auto alert = history::DecodeAlert(bytes);
    if (alert.ok()) history::EncodeAlert(*alert);
  } else {
    std::string_view rest = bytes;
    const std::string sources = Piece(rest);
    history::Checkpoint checkpoint;
    if (history::DecodeSources(sources, NoFacts, checkpoint).ok()) {
      (void)history::DecodeProgress(rest, checkpoint);
    }
  }
  return 0;
}
