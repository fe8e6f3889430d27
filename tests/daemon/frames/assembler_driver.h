// Drives a FrameAssembler with little to say, and tells its events as text.
#ifndef MUSTER_TESTS_DAEMON_FRAMES_ASSEMBLER_DRIVER_H_
#define MUSTER_TESTS_DAEMON_FRAMES_ASSEMBLER_DRIVER_H_

#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/frames/assembler.h"

namespace muster::frames {

inline const char* Name(CloseReason reason) {
  switch (reason) {
    case CloseReason::kAllReported:
      return "all";
    case CloseReason::kTimeout:
      return "timeout";
    case CloseReason::kOverflow:
      return "overflow";
    case CloseReason::kSuperseded:
      return "superseded";
    case CloseReason::kRunEnded:
      return "ended";
  }
  return "?";
}

inline const char* Name(AttemptCause cause) {
  switch (cause) {
    case AttemptCause::kStart:
      return "start";
    case AttemptCause::kRestart:
      return "restart";
    case AttemptCause::kRewind:
      return "rewind";
    case AttemptCause::kResize:
      return "resize";
  }
  return "?";
}

inline const char* Name(DownReason reason) {
  switch (reason) {
    case DownReason::kDisconnected:
      return "disconnected";
    case DownReason::kDeparted:
      return "departed";
    case DownReason::kSuperseded:
      return "superseded";
  }
  return "?";
}

// "frame 1:120 of 3 all 0 1 2": attempt, step, N, reason, ranks.
inline std::string Describe(const Frame& frame) {
  std::string text = "frame " + std::to_string(frame.attempt) + ":" +
                     std::to_string(frame.step) + " of " +
                     std::to_string(frame.world_size) + " " +
                     Name(frame.reason);
  for (const Report& report : frame.reports) {
    text += " " + std::to_string(report.rank);
  }
  return text;
}

inline std::string Describe(const Event& event) {
  return std::visit(
      [](const auto& it) -> std::string {
        using T = std::decay_t<decltype(it)>;
        if constexpr (std::is_same_v<T, SourceUp>) {
          return "up " + std::to_string(it.info.rank) + "/" +
                 std::to_string(it.info.incarnation);
        } else if constexpr (std::is_same_v<T, SourceDown>) {
          return "down " + std::to_string(it.rank) + "/" +
                 std::to_string(it.incarnation) + " " + Name(it.reason);
        } else if constexpr (std::is_same_v<T, RankContested>) {
          return "contested " + std::to_string(it.rank) + "/" +
                 std::to_string(it.superseded_incarnation) + " by " +
                 std::to_string(it.incarnation);
        } else if constexpr (std::is_same_v<T, SketchRefused>) {
          return "sketch refused";
        } else if constexpr (std::is_same_v<T, AttemptBegan>) {
          return "attempt " + std::to_string(it.attempt) + " of " +
                 std::to_string(it.world_size) + " " + Name(it.cause) +
                 (it.world_size_changed ? " changed" : "");
        } else if constexpr (std::is_same_v<T, FrameClosed>) {
          return Describe(*it.frame);
        } else if constexpr (std::is_same_v<T, RunEnded>) {
          return "run ended";
        } else {
          return "tick";
        }
      },
      event);
}

// One line for each event.
using Lines = std::vector<std::string>;

class AssemblerDriver {
 public:
  explicit AssemblerDriver(uint32_t world_size, AssemblerOptions options = {})
      : assembler_(options), world_size_(world_size) {}

  // What the sources state from now on.
  void set_world_size(uint32_t world_size) { world_size_ = world_size; }

  Registration Hello(uint32_t rank, uint64_t incarnation,
                     FactSet facts = FactSet()) {
    SourceInfo info;
    info.rank = rank;
    info.world_size = world_size_;
    info.incarnation = incarnation;
    return assembler_.Register(
        info, std::make_shared<const FactSet>(std::move(facts)), now_);
  }

  // Incarnations `base` + rank for ranks 0 … N − 1.
  void HelloAll(uint64_t base) {
    for (uint32_t rank = 0; rank < world_size_; ++rank)
      Hello(rank, base + rank);
  }

  // A report with the incarnation's next sequence, `skipped` lost before it.
  Admission Say(uint32_t rank, uint64_t incarnation, uint64_t step,
                uint64_t skipped = 0) {
    uint64_t& sequence = sequences_[incarnation];
    sequence += skipped + 1;
    return SayAgain(rank, incarnation, step, sequence);
  }

  Admission SayAgain(uint32_t rank, uint64_t incarnation, uint64_t step,
                     uint64_t sequence) {
    Report report;
    report.rank = rank;
    report.step = step;
    report.sequence = sequence;
    return assembler_.Add(incarnation, std::move(report), now_);
  }

  // All ranks report all steps first … last, step by step.
  void SayAll(uint64_t base, uint64_t first, uint64_t last) {
    for (uint64_t step = first; step <= last; ++step) {
      for (uint32_t rank = 0; rank < world_size_; ++rank) {
        Say(rank, base + rank, step);
      }
    }
  }

  void Disconnect(uint32_t rank, uint64_t incarnation) {
    assembler_.Disconnect(rank, incarnation, now_);
  }
  void Goodbye(uint32_t rank, uint64_t incarnation) {
    assembler_.Depart(rank, incarnation, now_);
  }
  void Wait(absl::Duration time) { now_ += time; }
  void Tick() { assembler_.Advance(now_); }

  // Events since the last call.
  Lines Told() {
    Lines lines;
    for (const Event& event : assembler_.TakeEvents()) {
      lines.push_back(Describe(event));
    }
    return lines;
  }

  FrameAssembler& assembler() { return assembler_; }
  Instant now() const { return now_; }

 private:
  FrameAssembler assembler_;
  uint32_t world_size_;
  Instant now_ = absl::Seconds(1000);
  std::map<uint64_t, uint64_t> sequences_;  // by incarnation
};

}  // namespace muster::frames

#endif  // MUSTER_TESTS_DAEMON_FRAMES_ASSEMBLER_DRIVER_H_
