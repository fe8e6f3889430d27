// What one client and the daemon say to each other, without the wire.
#ifndef MUSTER_CLIENT_SRC_CONVERSATION_H_
#define MUSTER_CLIENT_SRC_CONVERSATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "client/src/client_status.h"
#include "client/src/report_ring.h"
#include "client/src/wire.h"
#include "muster/client.h"

namespace muster {

// The protocol of design section 4, for one source on one stream after another:
// which message comes next, and what an answer means. Knows neither time nor
// transport. Thread-compatible; the sender thread owns it.
class Conversation {
 public:
  // What to do after an answer.
  enum class Verdict {
    kGoOn,
    kReconnect,    // the daemon does not know this source any more
    kRetrySlowly,  // refused for a reason that may pass
    kFallSilent,   // refused for good
  };

  // Borrows `ring` and `status`. `log` gets whole lines.
  Conversation(const Options& options, uint64_t incarnation, ReportRing* ring,
               ClientStatus* status,
               std::function<void(const std::string&)> log);
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // Begins a stream; returns its first message.
  std::string Open();
  // Takes an answer. Bytes that are none mean kReconnect.
  Verdict Receive(const std::string& bytes);
  // The next message to send into `*message`; false if there is none now.
  bool Next(std::string* message);
  // The message from Open() or Next() has been written.
  void Sent();
  std::string Goodbye() const;
  // The stream is gone.
  void Lost();

  // Welcomed on the present stream.
  bool welcomed() const { return welcomed_; }
  // Welcomed on any stream.
  bool known() const { return status_->streams > 0; }
  // An Ack has come on the present stream.
  bool acknowledged() const { return acknowledged_; }

 private:
  Verdict Refused(const muster_v1_Refusal& refusal);
  void LogOnce(int reason, const std::string& line);

  const std::string run_;
  const std::string host_;
  const muster_v1_Hello hello_;  // without facts; borrows the two above
  ReportRing* const ring_;
  ClientStatus* const status_;
  const std::function<void(const std::string&)> log_;

  bool welcomed_ = false;
  bool acknowledged_ = false;
  uint64_t next_sequence_ = 1;  // the first one not sent on this stream
  uint64_t in_flight_ = 0;      // reports in the message that is being written
  std::shared_ptr<const Facts> stated_;  // on this stream
  std::set<int> logged_;                 // reasons
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_CONVERSATION_H_
