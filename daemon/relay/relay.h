// A relay: takes what local ranks say and passes it on, run by run.
#ifndef MUSTER_DAEMON_RELAY_RELAY_H_
#define MUSTER_DAEMON_RELAY_RELAY_H_

#include <functional>
#include <memory>
#include <string>

#include "daemon/base/clock.h"
#include "daemon/ingest/sink.h"
#include "daemon/relay/options.h"
#include "daemon/relay/stats.h"
#include "daemon/relay/upstream.h"

namespace muster::relay {

// The sink of a relay's sessions. One thread of its own works for all runs:
// sessions, streams and the spool leave it what they have. Thread-safe.
class Relay : public ingest::Sink {
 public:
  // One line for the log.
  using Log = std::function<void(bool failing, const std::string& line)>;

  // Goes on with what is in the spool. `id` tells this relay from all others.
  Relay(Options options, Clock clock, std::unique_ptr<Upstream> upstream,
        std::string id, Log log);
  // As Stop().
  ~Relay() override;

  // Refuses what has passed this relay before, or too many.
  absl::Status Admit(const ingest::Caller& caller) override;
  std::variant<std::shared_ptr<ingest::SourceSink>, ingest::Rejection> Open(
      const ingest::Caller& caller, const v1::Hello& hello,
      ingest::CheckedHello checked,
      const std::shared_ptr<ingest::Outbox>& outbox) override;

  Stats stats() const;

  // Ranks that leave from now on are not reported as lost.
  void PrepareToStop();
  // Sends what is there for at most `options.grace`, leaves the rest to the
  // spool, and ends. Idempotent.
  void Stop();

 private:
  class Impl;
  class RemoteSource;
  const std::shared_ptr<Impl> impl_;
};

// 16 random hexadecimal digits.
std::string RandomId();

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_RELAY_H_
