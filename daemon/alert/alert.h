// The life of findings: pending → firing → resolved, de-duplicated.
#ifndef MUSTER_DAEMON_ALERT_ALERT_H_
#define MUSTER_DAEMON_ALERT_ALERT_H_

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/detect/finding.h"

namespace muster::alert {

enum class State { kPending, kFiring, kResolved };
const char* StateName(State state);  // "pending", …

struct Alert {
  uint64_t id = 0;  // from 1 in each run
  State state = State::kPending;
  detect::Finding finding;  // first_step of the first, the rest of the last
  // The global mean loss was inside its band at every raise so far.
  bool silent = false;
  absl::Time changed;  // daemon's wall clock, for display
  absl::Time fired;    // InfinitePast while pending
};

struct AlertOptions {
  // Raises in so many distinct steps before a pending alert fires; detectors
  // have their own patience, so 1 fires at once.
  int pending_steps = 1;
  // Resolved alerts kept for display.
  int keep_resolved = 256;
  // Alerts alive at once in one run; more are counted and not kept.
  int max_alive = 1024;
};

// The alerts of one run. Thread-compatible.
class AlertBook {
 public:
  // All that a book knows, as plain values: for going on after a restart.
  struct Saved {
    uint64_t next_id = 1;
    std::vector<Alert> alive;
    std::vector<int> raised_steps;  // distinct steps, beside `alive`
    std::deque<Alert> resolved;
    std::array<uint64_t, detect::kKindCount> fired_total{};
    uint64_t overflow_count = 0;
  };

  explicit AlertBook(AlertOptions options);
  // Goes on from `saved`.
  AlertBook(AlertOptions options, Saved saved);
  // `resolved` is left out if `with_resolved` is false.
  Saved Save(bool with_resolved) const;

  // Takes one finding; `silent` says whether the global mean loss is inside
  // its band. Appends a copy of each alert whose state changed to `changes`. A
  // pending alert that clears changes to resolved, but never fired, so that it
  // is not kept among resolved().
  void Take(const detect::Finding& finding, bool silent, absl::Time now,
            std::vector<Alert>& changes);
  // The run ended: resolves all.
  void ResolveAll(absl::Time now, std::vector<Alert>& changes);

  // Pending and firing ones, oldest first.
  const std::vector<Alert>& alive() const { return alive_; }
  // Newest last.
  const std::deque<Alert>& resolved() const { return resolved_; }
  // Alerts that ever fired, by kind.
  const std::array<uint64_t, detect::kKindCount>& fired_total() const {
    return fired_total_;
  }
  uint64_t overflow_count() const { return overflow_count_; }

 private:
  void Raise(const detect::Finding& finding, bool silent, absl::Time now,
             std::vector<Alert>& changes);
  // Fires alive_[index] if it is pending and has been raised often enough.
  void FireIfDue(size_t index, absl::Time now, std::vector<Alert>& changes);
  void Resolve(Alert alert, absl::Time now, std::vector<Alert>& changes);

  const AlertOptions options_;
  uint64_t next_id_ = 1;
  std::vector<Alert> alive_;
  std::vector<int> raised_steps_;  // distinct steps, beside alive_
  std::deque<Alert> resolved_;
  std::array<uint64_t, detect::kKindCount> fired_total_{};
  uint64_t overflow_count_ = 0;
};

// One structured line of JSON for a change of state: run, id, kind, state,
// subject, ranks, attempt, steps, value, expected, silent, evidence. Always
// valid JSON, and bounded: at most 64 ranks are listed (rank_count has their
// number), texts are cut at 1,024 bytes; a value that is not finite is null.
std::string LogLine(const std::string& run, const Alert& alert);

}  // namespace muster::alert

#endif  // MUSTER_DAEMON_ALERT_ALERT_H_
