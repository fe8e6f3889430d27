// One stream of a client or relay: checks what it says and passes it on.
#ifndef MUSTER_DAEMON_INGEST_SESSION_H_
#define MUSTER_DAEMON_INGEST_SESSION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "daemon/ingest/admission.h"
#include "daemon/ingest/outbox.h"
#include "daemon/ingest/sink.h"
#include "daemon/ingest/validate.h"
#include "daemon/runs/registry.h"
#include "muster/v1/telemetry.pb.h"

namespace muster::ingest {

// Knows no transport: messages come in through Take(), answers go out through
// the outbox. Thread-compatible; owned by the stream's reader.
class Session {
 public:
  // `sink` and `counters` outlive the session.
  Session(const Limits& limits, Sink& sink, runs::DaemonCounters& counters,
          std::shared_ptr<Outbox> outbox, Caller caller = {},
          Admission admission = {});
  // As Close().
  ~Session();

  // Takes one message apart. Returns the source whose way on is full, if one's
  // is: read no more until it is drained.
  std::shared_ptr<SourceSink> Take(v1::ClientMessage& message);
  // Whether nothing of the last message was taken.
  bool refused() const { return refused_; }
  // The stream is over: its sources are disconnected.
  void Close();

 private:
  struct Source {
    std::shared_ptr<SourceSink> sink;
    std::string run;
    std::unique_ptr<RankClaims::Claim> claim;
  };

  // Return the source whose way on is full, if one's is.
  std::shared_ptr<SourceSink> TakeHello(const v1::Hello& hello);
  std::shared_ptr<SourceSink> TakeReports(v1::Reports& reports);
  std::shared_ptr<SourceSink> TakeFacts(const v1::Facts& facts);
  std::shared_ptr<SourceSink> TakeGoodbye(const v1::Goodbye& goodbye);
  void TakeDisconnected(const v1::Disconnected& disconnected);
  // What follows from a message that was passed on. A source whose run is
  // forgotten is too, and refused, so that its sender says Hello again.
  std::shared_ptr<SourceSink> After(uint32_t number,
                                    std::shared_ptr<SourceSink> source,
                                    runs::Posted posted);
  // Lets go of what the sender may not report any more.
  void AdmitAgain();
  // Null, and refused, if no Hello introduced the number.
  std::shared_ptr<SourceSink> Find(uint32_t source, uint64_t sequence);
  void Refuse(uint32_t source, uint64_t sequence, Rejection rejection);

  const Limits limits_;
  Sink& sink_;
  runs::DaemonCounters& counters_;
  const std::shared_ptr<Outbox> outbox_;
  const Caller caller_;
  Admission admission_;
  bool refused_ = false;
  std::map<uint32_t, Source> sources_;  // by the stream's source number
};

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_SESSION_H_
