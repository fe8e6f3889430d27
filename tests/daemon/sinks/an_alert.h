// An alert for tests of sinks.
#ifndef MUSTER_TESTS_DAEMON_SINKS_AN_ALERT_H_
#define MUSTER_TESTS_DAEMON_SINKS_AN_ALERT_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "daemon/alert/alert.h"

namespace muster::sinks {

// RankOutlier of `ranks`, changed at `changed`; fired then, or ten seconds
// before if it is resolved.
inline alert::Alert AnAlert(uint64_t id, alert::State state, absl::Time changed,
                            std::vector<uint32_t> ranks = {3}) {
  alert::Alert alert;
  alert.id = id;
  alert.state = state;
  alert.severity = detect::Severity::kCritical;
  alert.silent = true;
  alert.finding.kind = detect::Kind::kRankOutlier;
  alert.finding.subject = "loss";
  alert.finding.ranks = std::move(ranks);
  alert.finding.first_step = 10;
  alert.finding.last_step = 49;
  alert.finding.evidence = "Rank 3's loss is odd.";
  alert.evidence = {
      {.subject = "loss", .sentence = "Rank 3's loss is odd."},
      {.subject = "gradient_norm", .sentence = "Its norm too."},
      {.subject = "direction", .sentence = "It was.", .standing = false}};
  alert.changed = changed;
  alert.fired = absl::InfinitePast();
  if (state == alert::State::kFiring) alert.fired = changed;
  if (state == alert::State::kResolved) {
    alert.fired = changed - absl::Seconds(10);
  }
  return alert;
}

}  // namespace muster::sinks

#endif  // MUSTER_TESTS_DAEMON_SINKS_AN_ALERT_H_
