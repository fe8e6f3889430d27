// One stream of a client or relay: checks what it says and passes it to runs.
#ifndef MUSTER_DAEMON_INGEST_SESSION_H_
#define MUSTER_DAEMON_INGEST_SESSION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "daemon/ingest/admission.h"
#include "daemon/ingest/outbox.h"
#include "daemon/ingest/validate.h"
#include "daemon/runs/registry.h"
#include "muster/v1/telemetry.pb.h"

namespace muster::ingest {

// Knows no transport: messages come in through Take(), answers go out through
// the outbox. Thread-compatible; owned by the stream's reader.
class Session {
 public:
  // `registry` and `counters` outlive the session.
  Session(const Limits& limits, runs::Registry& registry,
          runs::DaemonCounters& counters, std::shared_ptr<Outbox> outbox,
          Admission admission = {});
  // As Close().
  ~Session();

  // Takes one message apart. Returns the run whose queue is full, if one is:
  // read no more until it is drained.
  std::shared_ptr<runs::Run> Take(v1::ClientMessage& message);
  // The stream is over: its sources are disconnected.
  void Close();

 private:
  class Link;
  struct Source {
    std::shared_ptr<runs::Run> run;
    uint32_t rank = 0;
    uint64_t incarnation = 0;
    uint32_t sketch_width = 0;
    std::shared_ptr<Link> link;
    std::string run_id = {};
    std::unique_ptr<RankClaims::Claim> claim = nullptr;
  };

  // Return the run whose queue is full, if one is.
  std::shared_ptr<runs::Run> TakeHello(const v1::Hello& hello);
  std::shared_ptr<runs::Run> TakeReports(v1::Reports& reports);
  std::shared_ptr<runs::Run> TakeFacts(const v1::Facts& facts);
  std::shared_ptr<runs::Run> TakeGoodbye(const v1::Goodbye& goodbye);
  // Passes a message of the source on. A source whose run is forgotten is too,
  // and refused, so that its sender says Hello again.
  std::shared_ptr<runs::Run> Post(uint32_t number, const Source& source,
                                  runs::Message message, size_t bytes);
  // Lets go of what the sender may not report any more.
  void AdmitAgain();
  // Null, and refused, if no Hello introduced the number.
  Source* Find(uint32_t source, uint64_t sequence);
  void Refuse(uint32_t source, uint64_t sequence, Rejection rejection);

  const Limits limits_;
  runs::Registry& registry_;
  runs::DaemonCounters& counters_;
  const std::shared_ptr<Outbox> outbox_;
  Admission admission_;
  std::map<uint32_t, Source> sources_;  // by the stream's source number
};

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_SESSION_H_
