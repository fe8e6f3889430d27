#include "daemon/wire/alert_proto.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace muster::wire {
namespace {

v1::AlertSeverity SeverityOf(detect::Severity severity) {
  switch (severity) {
    case detect::Severity::kInfo:
      return v1::INFO;
    case detect::Severity::kWarning:
      return v1::WARNING;
    case detect::Severity::kCritical:
      return v1::CRITICAL;
  }
  return v1::ALERT_SEVERITY_UNSPECIFIED;
}

}  // namespace

v1::Alert ToProto(const std::string& run, const alert::Alert& alert) {
  const detect::Finding& finding = alert.finding;
  v1::Alert proto;
  proto.set_id(alert.id);
  proto.set_kind(detect::KindName(finding.kind));
  proto.set_run(run);
  switch (alert.state) {
    case alert::State::kPending:
      proto.set_state(v1::PENDING);
      break;
    case alert::State::kFiring:
      proto.set_state(v1::FIRING);
      break;
    case alert::State::kObserved:
      proto.set_state(v1::OBSERVED);
      break;
    case alert::State::kResolved:
      proto.set_state(v1::RESOLVED);
      break;
  }
  proto.set_subject(finding.subject);
  proto.mutable_ranks()->Add(finding.ranks.begin(), finding.ranks.end());
  proto.set_attempt(finding.attempt);
  proto.set_first_step(finding.first_step);
  proto.set_last_step(finding.last_step);
  proto.set_value(finding.value);
  proto.set_expected(finding.expected);
  proto.set_evidence(finding.evidence);
  proto.set_silent(alert.silent);
  proto.set_changed_unix_nanos(absl::ToUnixNanos(alert.changed));
  if (alert.fired != absl::InfinitePast()) {
    proto.set_fired_unix_nanos(absl::ToUnixNanos(alert.fired));
  }
  proto.set_severity(SeverityOf(alert.severity));
  proto.set_explained_by(alert.explained_by);
  return proto;
}

v1::Alert ToFullProto(const std::string& run, const alert::Alert& alert) {
  v1::Alert proto = ToProto(run, alert);
  for (const alert::Evidence& piece : alert.evidence) {
    v1::AlertEvidence& shown = *proto.add_pieces();
    shown.set_subject(piece.subject);
    shown.set_value(piece.value);
    shown.set_expected(piece.expected);
    shown.set_first_step(piece.first_step);
    shown.set_last_step(piece.last_step);
    shown.set_sentence(piece.sentence);
    shown.set_standing(piece.standing);
  }
  proto.set_pieces_omitted(alert.evidence_omitted);
  const std::string_view check = detect::InfoOf(alert.finding.kind).first_check;
  proto.set_first_check(std::string(check));
  for (std::string_view rest = check; !rest.empty();) {
    const size_t end = std::min(rest.find(". "), rest.size() - 1) + 1;
    proto.add_checks(std::string(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return proto;
}

}  // namespace muster::wire
