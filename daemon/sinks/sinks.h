// Everybody whom alerts are told: the one object of this room that the server
// knows.
#ifndef MUSTER_DAEMON_SINKS_SINKS_H_
#define MUSTER_DAEMON_SINKS_SINKS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/alert/alert.h"
#include "daemon/base/clock.h"
#include "daemon/sinks/alertmanager.h"
#include "daemon/sinks/courier.h"
#include "daemon/sinks/options.h"

namespace muster::sinks {

// Thread-safe. Owned by the server, and outlives the runs that call Take().
class Sinks {
 public:
  // `data_dir`: where webhooks keep what waits; empty: nowhere. `lookup`:
  // AlertmanagerOutbox; called between Start() and Stop() alone.
  Sinks(SinkOptions options, const std::string& data_dir, const Clock& clock,
        const AlertLookup& lookup,
        const std::function<void(bool failing, const std::string& line)>& tell);

  // A change of an alert's state; waits for nobody.
  void Take(const std::string& run, const alert::Alert& alert);
  // An alert of a run with which this daemon goes on. Before Start().
  void Resume(const std::string& run, const alert::Alert& alert);

  void Start();
  // Tries once more what waits, for `grace` at most in all. Idempotent.
  void Stop(absl::Duration grace = absl::Seconds(2));

  // One for each receiver, as configured.
  std::vector<CourierStats> stats() const;

 private:
  const SinkOptions options_;
  const Clock clock_;
  std::vector<std::unique_ptr<Courier>> couriers_;
};

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_SINKS_H_
