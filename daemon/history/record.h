// What is stored of a run: the ordered stream that its judge took, the changes
// of alerts that came of it, and what a restarted daemon needs to go on.
#ifndef MUSTER_DAEMON_HISTORY_RECORD_H_
#define MUSTER_DAEMON_HISTORY_RECORD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "daemon/alert/alert.h"
#include "daemon/consistency/measures.h"
#include "daemon/frames/assembler_state.h"
#include "daemon/frames/frame.h"

namespace muster::history {

// A closed frame as it was judged. Read back, the reports have no sketches
// where those are not kept any more, and facts that are equal are one object.
struct Judged {
  std::shared_ptr<const frames::Frame> frame;
  std::shared_ptr<const consistency::Measures> measures;
};

// Ticks with nothing between them.
struct Ticks {
  struct One {
    frames::Instant now;
    absl::Time wall;
  };
  std::vector<One> ticks;
};

// The daemon was started again and goes on with this run. From here on a fresh
// judge works under `configuration`. It has been fed, without a word of its
// findings being heard: the events, ticks aside, from position `first_event` up
// to `first_frame`, and everything from there up to this entry. Its alerts are
// those there were.
struct Resumed {
  uint64_t first_event = 0;
  uint64_t first_frame = 0;
  std::string configuration;  // YAML
  frames::Instant at;
};

// FrameClosed and Tick of frames::Event stand as Judged and Ticks.
using Body =
    std::variant<frames::SourceUp, frames::SourceDown, frames::RankContested,
                 frames::SketchRefused, frames::AttemptBegan, frames::RunEnded,
                 Judged, Ticks, Resumed>;

// One element of the stream. Positions count from 1 in each run, without a gap
// unless something could not be written or is too old to be kept.
struct Entry {
  uint64_t position = 0;
  absl::Time wall;  // when it was judged; of Ticks, when the first was
  Body body;
};

// `alert` as it was after the entry at `position`. Changes of one position
// follow each other in the order in which they came.
struct AlertChange {
  uint64_t position = 0;
  alert::Alert alert;
  std::string line;  // alert::LogLine
};

// A report in a frame that is still open.
struct OpenReport {
  uint64_t incarnation = 0;
  frames::Report report;  // with its sketch
};

// Where a run stands after the entry before `next_position`.
struct Checkpoint {
  uint64_t next_position = 1;
  frames::Instant now;  // the run's clock
  absl::Time wall;
  std::optional<frames::SketchSpec> sketch;  // the run's
  frames::AssemblerState assembler;
  std::vector<std::shared_ptr<const OpenReport>> open_reports;
  alert::AlertBook::Saved alerts;
};

// What is written in one piece, or not at all.
struct Unit {
  int64_t run = 0;  // Writer::Begin
  std::vector<Entry> entries;
  std::vector<AlertChange> alerts;
  // Null for runs that nobody will go on with.
  std::shared_ptr<const Checkpoint> checkpoint;
  // Called once, on the writer's thread or by Writer::Write, when the unit is
  // stored or has been given up; may be null.
  std::function<void()> settled;
};

// A run as it is found in a history.
struct StoredRun {
  int64_t run = 0;
  std::string name;
  absl::Time began;
  bool open = false;          // a restarted daemon goes on with it
  std::string configuration;  // YAML, when it began
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_RECORD_H_
