#include "daemon/wire/alert_proto.h"

namespace muster::wire {

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
  return proto;
}

}  // namespace muster::wire
