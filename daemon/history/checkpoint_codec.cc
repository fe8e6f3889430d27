#include "daemon/history/checkpoint_codec.h"

#include <memory>

#include "daemon/history/bytes.h"
#include "daemon/history/event_codec.h"
#include "daemon/history/source_codec.h"

namespace muster::history {
namespace {

using frames::AssemblerState;
using frames::FrameAssembler;
using frames::RankState;

absl::Status Result(const ByteReader& bytes) {
  if (bytes.ok() && bytes.empty()) return absl::OkStatus();
  return absl::DataLossError("a checkpoint is damaged");
}

void PutAttempt(const FrameAssembler::AttemptState& attempt,
                ByteWriter& bytes) {
  bytes.Integer(attempt.attempt);
  bytes.Integer(attempt.world_size);
  bytes.Integer(attempt.first_step);
  bytes.Integer(attempt.last_step);
  bytes.Integer(attempt.frames);
  bytes.Integer(attempt.superseded);
  bytes.Integer(static_cast<uint64_t>(attempt.cause));
}

FrameAssembler::AttemptState GetAttempt(ByteReader& bytes) {
  FrameAssembler::AttemptState attempt;
  attempt.attempt = static_cast<uint32_t>(bytes.Integer());
  attempt.world_size = static_cast<uint32_t>(bytes.Integer());
  attempt.first_step = bytes.Integer();
  attempt.last_step = bytes.Integer();
  attempt.frames = bytes.Integer();
  attempt.superseded = bytes.Integer() != 0;
  const uint64_t cause = bytes.Integer();
  if (cause > static_cast<uint64_t>(frames::AttemptCause::kResize)) {
    bytes.Fail();
  } else {
    attempt.cause = static_cast<frames::AttemptCause>(cause);
  }
  return attempt;
}

void PutAlerts(const alert::AlertBook::Saved& alerts, ByteWriter& bytes) {
  bytes.Integer(alerts.next_id);
  bytes.Integer(alerts.alive.size());
  for (size_t i = 0; i < alerts.alive.size(); ++i) {
    bytes.Text(EncodeAlert(alerts.alive[i]));
    const alert::AlertBook::Life& life = alerts.lives[i];
    bytes.Signed(life.raised_steps);
    bytes.Integer(life.attempt);
    bytes.Integer(life.step);
    bytes.Signed(life.quiet_frames);
  }
  // By name: kinds may come and go.
  bytes.Integer(alerts.fired_total.size());
  for (size_t kind = 0; kind < alerts.fired_total.size(); ++kind) {
    bytes.Text(detect::KindName(static_cast<detect::Kind>(kind)));
    bytes.Integer(alerts.fired_total[kind]);
  }
  bytes.Integer(alerts.overflow_count);
}

void GetAlerts(ByteReader& bytes, alert::AlertBook::Saved& alerts) {
  alerts.next_id = bytes.Integer();
  const uint64_t alive = bytes.Count();
  for (uint64_t i = 0; i < alive && bytes.ok(); ++i) {
    auto alert = DecodeAlert(bytes.Text());
    if (!alert.ok()) {
      bytes.Fail();
      return;
    }
    alerts.alive.push_back(*std::move(alert));
    alert::AlertBook::Life& life = alerts.lives.emplace_back();
    life.raised_steps = static_cast<int>(bytes.Signed());
    life.attempt = static_cast<uint32_t>(bytes.Integer());
    life.step = bytes.Integer();
    life.quiet_frames = static_cast<int>(bytes.Signed());
  }
  const uint64_t kinds = bytes.Count();
  for (uint64_t i = 0; i < kinds && bytes.ok(); ++i) {
    const std::string_view name = bytes.Text();
    const uint64_t count = bytes.Integer();
    for (size_t kind = 0; kind < alerts.fired_total.size(); ++kind) {
      if (name == detect::KindName(static_cast<detect::Kind>(kind))) {
        alerts.fired_total[kind] = count;
      }
    }
  }
  alerts.overflow_count = bytes.Integer();
}

}  // namespace

std::string EncodeProgress(const Checkpoint& checkpoint) {
  const AssemblerState& state = checkpoint.assembler;
  ByteWriter bytes;
  bytes.Integer(state.ranks.size());
  for (const RankState& rank : state.ranks) {
    bytes.Integer(rank.source.attempt);
    bytes.Integer(rank.source.has_reported | rank.has_sequence << 1);
    bytes.Integer(rank.source.last_step);
    bytes.Integer(rank.source.last_sequence);
    bytes.Integer(rank.source.dropped);
    bytes.Duration(rank.source.last_arrival);
  }
  bytes.Integer(state.attempt);
  bytes.Duration(state.attempt_began);
  bytes.Integer(state.ended);
  bytes.Integer(state.generation);
  bytes.Integer(state.attempts.size());
  for (const auto& attempt : state.attempts) PutAttempt(attempt, bytes);
  bytes.Integer(state.late);
  bytes.Integer(state.dropped);
  bytes.Integer(state.duplicates);
  // Steps are below 2⁶³.
  bytes.Integer(state.last_closed ? *state.last_closed + 1 : 0);
  bytes.Integer(state.open_frames.size());
  for (const frames::FrameWindow::OpenFrame& frame : state.open_frames) {
    bytes.Integer(frame.step);
    bytes.Duration(frame.first_arrival);
    bytes.Duration(frame.last_arrival);
  }
  PutAlerts(checkpoint.alerts, bytes);
  return bytes.Take();
}

std::string EncodeSources(const Checkpoint& checkpoint,
                          const FactNumber& facts) {
  ByteWriter bytes;
  bytes.Integer(checkpoint.sketch.has_value());
  PutSketchSpec(checkpoint.sketch.value_or(frames::SketchSpec()), bytes);
  bytes.Integer(checkpoint.assembler.sources_version);
  bytes.Integer(checkpoint.assembler.ranks.size());
  for (const RankState& rank : checkpoint.assembler.ranks) {
    PutSource(rank.source.info, bytes);
    bytes.Integer(rank.source.facts ? facts(rank.source.facts) : 0);
    bytes.Integer(rank.source.connected | rank.source.departed << 1 |
                  rank.absent << 2);
    bytes.Integer(rank.generation);
    bytes.Duration(rank.greeted);
    bytes.Integer(rank.earlier_attempt);
    bytes.Integer(rank.superseded.size());
    for (const frames::Superseded& past : rank.superseded) {
      bytes.Fixed(past.incarnation);
      bytes.Duration(past.at);
      bytes.Fixed(past.contested_with);
    }
  }
  return bytes.Take();
}

absl::Status DecodeSources(std::string_view encoded, const FactLookup& facts,
                           Checkpoint& checkpoint) {
  ByteReader bytes(encoded);
  const bool has_sketch = bytes.Integer() != 0;
  const frames::SketchSpec spec = GetSketchSpec(bytes);
  if (has_sketch) checkpoint.sketch = spec;
  checkpoint.assembler.sources_version = bytes.Integer();
  const uint64_t ranks = bytes.Count();
  for (uint64_t i = 0; i < ranks && bytes.ok(); ++i) {
    RankState& rank = checkpoint.assembler.ranks.emplace_back();
    rank.source.info = GetSource(bytes);
    rank.source.facts = facts(bytes.Integer());
    if (rank.source.facts == nullptr) {
      rank.source.facts = std::make_shared<const frames::FactSet>();
    }
    const uint64_t flags = bytes.Integer();
    rank.source.connected = (flags & 1) != 0;
    rank.source.departed = (flags & 2) != 0;
    rank.absent = (flags & 4) != 0;
    rank.generation = bytes.Integer();
    rank.greeted = bytes.Duration();
    rank.earlier_attempt = static_cast<uint32_t>(bytes.Integer());
    const uint64_t superseded = bytes.Count();
    for (uint64_t p = 0; p < superseded && bytes.ok(); ++p) {
      rank.superseded.push_back(
          {bytes.Fixed(), bytes.Duration(), bytes.Fixed()});
    }
  }
  return Result(bytes);
}

absl::Status DecodeProgress(std::string_view encoded, Checkpoint& checkpoint) {
  ByteReader bytes(encoded);
  AssemblerState& state = checkpoint.assembler;
  if (bytes.Integer() != state.ranks.size()) bytes.Fail();
  for (RankState& rank : state.ranks) {
    rank.source.attempt = static_cast<uint32_t>(bytes.Integer());
    const uint64_t flags = bytes.Integer();
    rank.source.has_reported = (flags & 1) != 0;
    rank.has_sequence = (flags & 2) != 0;
    rank.source.last_step = bytes.Integer();
    rank.source.last_sequence = bytes.Integer();
    rank.source.dropped = bytes.Integer();
    rank.source.last_arrival = bytes.Duration();
  }
  state.attempt = static_cast<uint32_t>(bytes.Integer());
  state.attempt_began = bytes.Duration();
  state.ended = bytes.Integer() != 0;
  state.generation = bytes.Integer();
  const uint64_t attempts = bytes.Count();
  for (uint64_t i = 0; i < attempts && bytes.ok(); ++i) {
    state.attempts.push_back(GetAttempt(bytes));
  }
  state.late = bytes.Integer();
  state.dropped = bytes.Integer();
  state.duplicates = bytes.Integer();
  const uint64_t closed = bytes.Integer();
  if (closed > 0) state.last_closed = closed - 1;
  const uint64_t open = bytes.Count();
  for (uint64_t i = 0; i < open && bytes.ok(); ++i) {
    state.open_frames.push_back(
        {bytes.Integer(), bytes.Duration(), bytes.Duration()});
  }
  GetAlerts(bytes, checkpoint.alerts);
  return Result(bytes);
}

}  // namespace muster::history
