// What Alertmanagers are told, in their API v2: each alert that fires, again
// and again, and for a while that it is resolved.
#ifndef MUSTER_DAEMON_SINKS_ALERTMANAGER_H_
#define MUSTER_DAEMON_SINKS_ALERTMANAGER_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/mutex.h"
#include "daemon/sinks/outbox.h"

namespace muster::sinks {

// The alert as it is now, if the run still has it.
using AlertLookup = std::function<std::optional<alert::Alert>(
    const std::string& run, uint64_t id)>;

// As Outbox; owned by a Courier. An alert that has fired is held until it has
// been resolved for kTellResolved. `lookup` is asked before an alert is sent
// again, so that an alert of a run that was forgotten ends too; never under the
// lock.
class AlertmanagerOutbox : public Outbox {
 public:
  // Resolved alerts are sent again for so long.
  static constexpr absl::Duration kTellResolved = absl::Minutes(5);
  // Without another word from us an Alertmanager resolves an alert after so
  // many intervals, whatever its own resolve_timeout.
  static constexpr int kIntervalsAlive = 4;
  static constexpr size_t kMaxAlerts = 4096;
  static constexpr size_t kAlertsInPost = 64;

  // `options` outlives it.
  AlertmanagerOutbox(const SinkOptions& options, absl::Duration resend_interval,
                     AlertLookup lookup);

  void Take(const std::string& run, const alert::Alert& alert,
            Moment now) override;
  void Resume(const std::string& run, const alert::Alert& alert,
              Moment now) override;
  absl::Duration Due() const override;
  absl::StatusOr<std::optional<Delivery>> Make(Moment now) override;
  // No alerts.
  std::optional<Delivery> Probe() const override;
  bool Done(Outcome outcome, Moment now) override;
  OutboxCounts counts() const override;

 private:
  // Run, kind and ranks: no two alerts of a run that live have the same.
  using Key = std::pair<std::string, std::string>;
  struct Held {
    alert::Alert alert;
    std::string run;
    bool resolved = false;
    absl::Time ended;       // if resolved
    absl::Duration forget;  // monotonic, if resolved
    absl::Duration due;     // monotonic
    bool told = false;      // answered since its state changed
    uint64_t version = 0;   // rises with each change
  };

  void Resolve(Held& held, absl::Time ended, Moment now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Looks up what is about to be sent again.
  void Refresh(Moment now);
  std::string ToJson(const Held& held, Moment now) const;

  const SinkOptions& options_;
  const absl::Duration resend_interval_;
  const AlertLookup lookup_;
  // Of the delivery that was made last; touched by the owner's thread alone.
  std::vector<std::pair<Key, uint64_t>> batch_;

  mutable Mutex mutex_;
  std::map<Key, Held> held_ ABSL_GUARDED_BY(mutex_);
  uint64_t versions_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The value of the label `ranks`: the ranks by number, or, above 16, the first
// ones, how many more, and a digest of all. Equal for equal ranks alone.
std::string RanksLabel(const std::vector<uint32_t>& ranks);

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_ALERTMANAGER_H_
