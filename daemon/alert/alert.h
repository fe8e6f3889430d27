// The life of findings: pending → firing → resolved. One incident for one
// cause, with all its evidence.
#ifndef MUSTER_DAEMON_ALERT_ALERT_H_
#define MUSTER_DAEMON_ALERT_ALERT_H_

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/detect/finding.h"
#include "daemon/detect/kinds.h"

namespace muster::alert {

enum class State {
  kPending,   // there is evidence, not yet in enough steps
  kFiring,    // people are told
  kObserved,  // as firing, but of a kind that is only observed: nobody is told
  kResolved,  // the evidence is gone, or the run has ended
};
const char* StateName(State state);  // "pending", …

// One piece of an incident's evidence, by its subject.
struct Evidence {
  std::string subject;
  double value = 0;
  double expected = 0;
  uint64_t first_step = 0;
  uint64_t last_step = 0;
  std::string sentence;
  bool standing = true;  // false: gone since, while others stand
};

struct Alert {
  uint64_t id = 0;  // from 1 in each run
  State state = State::kPending;
  detect::Severity severity = detect::Severity::kWarning;
  // Kind, ranks and attempt of the incident; its steps are those of all
  // evidence. Subject, value, expected and sentence are those of the oldest
  // piece that stands.
  detect::Finding finding;
  std::vector<Evidence> evidence;  // oldest first, at most kMaxEvidence
  uint64_t evidence_omitted = 0;   // raises for which there was no place
  // The FactMismatch of the same ranks that stood when this began or since; 0
  // if none. Named at the end of finding.evidence.
  uint64_t explained_by = 0;
  // At every raise so far the global mean loss had shown nothing since the
  // evidence began (detect::LossBand).
  bool silent = false;
  absl::Time changed;  // daemon's wall clock, for display
  absl::Time fired;    // InfinitePast unless it has fired
};

inline constexpr size_t kMaxEvidence = 16;

struct AlertOptions {
  // Raises in so many distinct steps before a pending alert fires; detectors
  // have their own patience, so 1 fires at once. Kinds that time alone tells
  // (RunStalled) have no steps, and always fire at once.
  int pending_steps = 1;
  // An alert whose evidence is gone stays for so many judged frames more:
  // evidence that comes and goes is one alert, not many. 0 resolves at once.
  int resolve_frames = 8;
  // Resolved alerts kept for display.
  int keep_resolved = 256;
  // Alerts alive at once in one run; more are counted and not kept.
  int max_alive = 1024;
};

// The alerts of one run. An incident is what befalls the same ranks in the same
// kind: loss, norm and direction of one rank are one alert with three pieces of
// evidence. Thread-compatible.
class AlertBook {
 public:
  // What a book remembers of one alert beside it.
  struct Life {
    int raised_steps = 0;  // distinct ones
    uint32_t attempt = 0;  // of the newest raise
    uint64_t step = 0;
    int quiet_frames = 0;  // frames ended since all evidence is gone
  };

  // All that a book knows, as plain values: for going on after a restart.
  struct Saved {
    uint64_t next_id = 1;
    std::vector<Alert> alive;
    std::vector<Life> lives;  // beside `alive`
    std::deque<Alert> resolved;
    std::array<uint64_t, detect::kKindCount> fired_total{};
    uint64_t overflow_count = 0;
  };

  explicit AlertBook(AlertOptions options, const detect::KindSettings& kinds =
                                               detect::DefaultKindSettings());
  // Goes on from `saved`.
  AlertBook(AlertOptions options, const detect::KindSettings& kinds,
            Saved saved);
  // `resolved` is left out if `with_resolved` is false.
  Saved Save(bool with_resolved) const;

  // Takes one finding; `silent` says of a raise whether the global mean loss
  // has shown nothing since its first step. Appends a copy of each alert whose
  // state changed to `changes`. A pending alert that clears changes to
  // resolved, but never fired, so that it is not kept among resolved().
  void Take(const detect::Finding& finding, bool silent, absl::Time now,
            std::vector<Alert>& changes);
  // All findings of a judged frame were taken: resolves what has been without
  // evidence for long enough.
  void EndFrame(absl::Time now, std::vector<Alert>& changes);
  // The run ended: resolves all.
  void ResolveAll(absl::Time now, std::vector<Alert>& changes);

  // Pending, firing and observed ones, oldest first.
  const std::vector<Alert>& alive() const { return alive_; }
  // Newest last.
  const std::deque<Alert>& resolved() const { return resolved_; }
  // Alerts that ever fired, by kind; observed ones are not among them.
  const std::array<uint64_t, detect::kKindCount>& fired_total() const {
    return fired_total_;
  }
  uint64_t overflow_count() const { return overflow_count_; }

 private:
  void Raise(const detect::Finding& finding, bool silent, absl::Time now,
             std::vector<Alert>& changes);
  void Clear(const detect::Finding& finding, absl::Time now,
             std::vector<Alert>& changes);
  // Looks for a FactMismatch of the same ranks; puts the leading evidence in
  // front.
  void Lead(Alert& alert) const;
  // Fires alive_[index] if it is pending and has been raised often enough.
  void FireIfDue(size_t index, absl::Time now, std::vector<Alert>& changes);
  // Takes alive_[index] out.
  void Resolve(size_t index, absl::Time now, std::vector<Alert>& changes);

  const AlertOptions options_;
  const detect::KindSettings kinds_;
  uint64_t next_id_ = 1;
  std::vector<Alert> alive_;
  std::vector<Life> lives_;  // beside alive_
  std::deque<Alert> resolved_;
  std::array<uint64_t, detect::kKindCount> fired_total_{};
  uint64_t overflow_count_ = 0;
};

// One structured line of JSON for a change of state: run, id, kind, severity,
// state, subject, ranks, attempt, steps, value, expected, silent, evidence,
// further (sentences of four other pieces), explained_by. Always valid JSON,
// and bounded: at most 64 ranks are listed (rank_count has their number), texts
// are cut at 1,024 bytes; a value that is not finite is null.
std::string LogLine(const std::string& run, const Alert& alert);

}  // namespace muster::alert

#endif  // MUSTER_DAEMON_ALERT_ALERT_H_
