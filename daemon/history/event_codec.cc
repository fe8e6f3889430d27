#include "daemon/history/event_codec.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "daemon/history/bytes.h"
#include "daemon/history/source_codec.h"

namespace muster::history {
namespace {

// Encodes one kind of event after the other.
struct Encoder {
  const FactNumber& facts;
  EventColumns& row;
  ByteWriter bytes = {};

  void operator()(const frames::SourceUp& event) {
    row.kind = "source_up";
    row.rank = event.info.rank;
    PutSource(event.info, bytes);
    bytes.Integer(event.facts ? facts(event.facts) : 0);
    bytes.Duration(event.at);
  }
  void operator()(const frames::SourceDown& event) {
    row.kind = "source_down";
    row.rank = event.rank;
    bytes.Integer(event.rank);
    bytes.Fixed(event.incarnation);
    bytes.Integer(static_cast<uint64_t>(event.reason));
    bytes.Duration(event.at);
  }
  void operator()(const frames::RankContested& event) {
    row.kind = "rank_contested";
    row.rank = event.rank;
    bytes.Integer(event.rank);
    bytes.Fixed(event.incarnation);
    bytes.Fixed(event.superseded_incarnation);
    bytes.Duration(event.at);
  }
  void operator()(const frames::SketchRefused& event) {
    row.kind = "sketch_refused";
    row.rank = event.rank;
    bytes.Integer(event.rank);
    PutSketchSpec(event.expected, bytes);
    PutSketchSpec(event.stated, bytes);
    bytes.Duration(event.at);
  }
  void operator()(const frames::AttemptBegan& event) {
    row.kind = "attempt_began";
    row.attempt = event.attempt;
    bytes.Integer(event.attempt);
    bytes.Integer(event.world_size);
    bytes.Integer(static_cast<uint64_t>(event.cause));
    bytes.Integer(event.world_size_changed);
    bytes.Duration(event.at);
  }
  void operator()(const frames::RunEnded& event) {
    row.kind = "run_ended";
    bytes.Duration(event.at);
  }
  void operator()(const Judged&) {}
  void operator()(const Ticks& event) {
    row.kind = "ticks";
    bytes.Integer(event.ticks.size());
    for (const Ticks::One& tick : event.ticks) {
      bytes.Duration(tick.now);
      bytes.Time(tick.wall);
    }
  }
  void operator()(const Resumed& event) {
    row.kind = "resumed";
    bytes.Integer(event.first_event);
    bytes.Integer(event.first_frame);
    bytes.Text(event.configuration);
    bytes.Duration(event.at);
  }
};

// An enumeration's value, of those up to `last`.
template <typename Enum>
Enum GetEnum(ByteReader& bytes, Enum last) {
  const uint64_t value = bytes.Integer();
  if (value > static_cast<uint64_t>(last)) bytes.Fail();
  return bytes.ok() ? static_cast<Enum>(value) : Enum{};
}

uint32_t Get32(ByteReader& bytes) {
  return static_cast<uint32_t>(bytes.Integer());
}

// Initializers in braces are evaluated from left to right.
Body Decode(std::string_view kind, ByteReader& bytes, const FactLookup& facts) {
  if (kind == "source_up") {
    frames::SourceUp event;
    event.info = GetSource(bytes);
    event.facts = facts(bytes.Integer());
    if (event.facts == nullptr) {
      event.facts = std::make_shared<const frames::FactSet>();
    }
    event.at = bytes.Duration();
    return event;
  }
  if (kind == "source_down") {
    return frames::SourceDown{Get32(bytes), bytes.Fixed(),
                              GetEnum(bytes, frames::DownReason::kSuperseded),
                              bytes.Duration()};
  }
  if (kind == "rank_contested") {
    return frames::RankContested{Get32(bytes), bytes.Fixed(), bytes.Fixed(),
                                 bytes.Duration()};
  }
  if (kind == "sketch_refused") {
    return frames::SketchRefused{Get32(bytes), GetSketchSpec(bytes),
                                 GetSketchSpec(bytes), bytes.Duration()};
  }
  if (kind == "attempt_began") {
    return frames::AttemptBegan{Get32(bytes), Get32(bytes),
                                GetEnum(bytes, frames::AttemptCause::kResize),
                                bytes.Integer() != 0, bytes.Duration()};
  }
  if (kind == "run_ended") return frames::RunEnded{bytes.Duration()};
  if (kind == "ticks") {
    Ticks event;
    const uint64_t count = bytes.Count();
    for (uint64_t i = 0; i < count && bytes.ok(); ++i) {
      event.ticks.push_back({bytes.Duration(), bytes.Time()});
    }
    return event;
  }
  if (kind == "resumed") {
    Resumed event;
    event.first_event = bytes.Integer();
    event.first_frame = bytes.Integer();
    event.configuration = bytes.Text();
    event.at = bytes.Duration();
    return event;
  }
  bytes.Fail();
  return frames::RunEnded{};
}

}  // namespace

EventColumns EncodeEvent(const Body& event, const FactNumber& facts) {
  EventColumns row;
  Encoder encoder{facts, row};
  std::visit(encoder, event);
  row.body = encoder.bytes.Take();
  return row;
}

absl::StatusOr<Body> DecodeEvent(std::string_view kind, std::string_view body,
                                 const FactLookup& facts) {
  ByteReader bytes(body);
  Body event = Decode(kind, bytes, facts);
  if (!bytes.ok() || !bytes.empty()) {
    return absl::DataLossError("an event is damaged or of an unknown kind");
  }
  return event;
}

std::string EncodeAlert(const alert::Alert& alert) {
  const detect::Finding& finding = alert.finding;
  ByteWriter bytes;
  bytes.Integer(alert.id);
  bytes.Integer(static_cast<uint64_t>(alert.state));
  bytes.Integer(static_cast<uint64_t>(alert.severity));
  bytes.Text(detect::KindName(finding.kind));
  bytes.Text(finding.subject);
  bytes.Integer(finding.ranks.size());
  for (const uint32_t rank : finding.ranks) bytes.Integer(rank);
  bytes.Integer(finding.attempt);
  bytes.Integer(finding.first_step);
  bytes.Integer(finding.last_step);
  bytes.Double(finding.value);
  bytes.Double(finding.expected);
  bytes.Text(finding.evidence);
  bytes.Integer(alert.evidence.size());
  for (const alert::Evidence& piece : alert.evidence) {
    bytes.Text(piece.subject);
    bytes.Double(piece.value);
    bytes.Double(piece.expected);
    bytes.Integer(piece.first_step);
    bytes.Integer(piece.last_step);
    bytes.Text(piece.sentence);
    bytes.Integer(piece.standing);
  }
  bytes.Integer(alert.evidence_omitted);
  bytes.Integer(alert.explained_by);
  bytes.Integer(alert.silent);
  bytes.Time(alert.changed);
  bytes.Time(alert.fired);
  return bytes.Take();
}

absl::StatusOr<alert::Alert> DecodeAlert(std::string_view encoded) {
  ByteReader bytes(encoded);
  alert::Alert alert;
  detect::Finding& finding = alert.finding;
  alert.id = bytes.Integer();
  alert.state = GetEnum(bytes, alert::State::kResolved);
  alert.severity = GetEnum(bytes, detect::Severity::kCritical);
  const std::string_view kind = bytes.Text();
  int number = 0;
  while (number < detect::kKindCount &&
         kind != detect::KindName(static_cast<detect::Kind>(number))) {
    ++number;
  }
  if (number == detect::kKindCount) bytes.Fail();
  finding.kind = static_cast<detect::Kind>(number % detect::kKindCount);
  finding.subject = bytes.Text();
  finding.ranks.resize(bytes.Count());
  for (uint32_t& rank : finding.ranks) rank = Get32(bytes);
  finding.attempt = Get32(bytes);
  finding.first_step = bytes.Integer();
  finding.last_step = bytes.Integer();
  finding.value = bytes.Double();
  finding.expected = bytes.Double();
  finding.evidence = bytes.Text();
  const uint64_t pieces = bytes.Count();
  for (uint64_t i = 0; i < pieces && bytes.ok(); ++i) {
    alert::Evidence& piece = alert.evidence.emplace_back();
    piece.subject = bytes.Text();
    piece.value = bytes.Double();
    piece.expected = bytes.Double();
    piece.first_step = bytes.Integer();
    piece.last_step = bytes.Integer();
    piece.sentence = bytes.Text();
    piece.standing = bytes.Integer() != 0;
  }
  alert.evidence_omitted = bytes.Integer();
  alert.explained_by = bytes.Integer();
  alert.silent = bytes.Integer() != 0;
  alert.changed = bytes.Time();
  alert.fired = bytes.Time();
  if (!bytes.ok() || !bytes.empty()) {
    return absl::DataLossError("an alert is damaged");
  }
  return alert;
}

}  // namespace muster::history
