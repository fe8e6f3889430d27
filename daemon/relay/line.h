// One run's way through a relay: from its local ranks to one upstream stream.
#ifndef MUSTER_DAEMON_RELAY_LINE_H_
#define MUSTER_DAEMON_RELAY_LINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "daemon/base/clock.h"
#include "daemon/ingest/outbox.h"
#include "daemon/ingest/validate.h"
#include "daemon/relay/run_log.h"
#include "daemon/relay/upstream.h"

namespace muster::relay {

// What lines share. All outlive them.
struct Surroundings {
  const Options& options;
  const Clock& clock;
  Spool* spool = nullptr;  // may be null
  Upstream& upstream;
  Counts& counts;
  // This relay's id, which it adds to those that a stream has passed.
  std::string id;
  std::function<int64_t()> next_id;
  std::function<uint32_t()> next_number;
  std::function<double()> random;  // 0 … 1
  // What a stream tells of upstream.
  std::function<void(UpstreamState state, const std::string& why)> tell;
  // Runs a function on the thread that owns the lines.
  std::function<void(std::function<void()>)> post;
};

// A rank that has come, or a relay's rank.
struct Arrival {
  uint64_t token = 0;  // what it calls itself from now on
  v1::Hello hello;     // checked; with facts
  std::shared_ptr<ingest::Outbox> outbox;
  std::vector<std::string> via;
};

struct ReportBytes {
  uint64_t sequence = 0;
  std::string bytes;  // of a StepReport without source number
};

// Keeps each source's order, so that upstream's rules on sequences make every
// report count once: a source's reports go after its Hello has been answered,
// after all that it said before, and again after a stream was lost.
// Thread-compatible; owned by the relay, on its thread. Time is read from the
// surroundings' clock.
class Line {
 public:
  Line(std::string run, const Surroundings& around);
  ~Line();

  // Goes on with what an earlier relay has left in the spool.
  void Continue(const SpooledRun& found);

  // From the ranks.
  void Open(Arrival arrival);
  void Report(uint64_t token, std::vector<ReportBytes> reports,
              uint64_t settled);
  void State(uint64_t token, std::string facts);
  void Depart(uint64_t token, std::string goodbye);
  void Disconnect(uint64_t token);

  // Sends, spills and gives up what is due; returns how long nothing will be.
  absl::Duration Advance();
  // Ranks that go from now on are not reported: the relay itself is leaving.
  void Stop() { stopping_ = true; }

  // Nothing is left to be done for the run.
  bool finished() const {
    return sources_.empty() && log_.empty() && stream_ == nullptr;
  }
  // Upstream or the spool has all, and nothing is under way.
  bool at_rest() const {
    return log_.memory_entries() == 0 &&
           (away_ || (log_.empty() && stream_ == nullptr));
  }
  size_t connected() const { return tokens_.size(); }
  RunLog& log() { return log_; }
  const RunLog& log() const { return log_; }

 private:
  enum class Standing { kUnknown, kAsked, kOpen };  // upstream, on this stream
  struct Source {
    std::shared_ptr<const Origin> origin;
    // The rank's own stream; null if it has none.
    std::shared_ptr<ingest::Outbox> outbox;
    uint32_t local_number = 0;  // there
    uint64_t token = 0;
    bool welcomed = false;  // there
    absl::Duration came;    // there
    uint64_t told = 0;      // acknowledged there
    bool ended = true;      // with Goodbye, or lost: the log says so
    std::shared_ptr<const StatedFacts> facts;  // newest
    uint64_t last_sequence = 0;                // newest report in the log
    uint64_t covered = 0;                      // said, refused ones included
    uint64_t safe = 0;                         // upstream or the spool has it
    uint64_t settled = 0;                      // upstream has it
    int64_t last_id = 0;                       // newest entry in the log
    Standing standing = Standing::kUnknown;
    absl::Duration asked;
    absl::Duration ask_again = -absl::InfiniteDuration();
    int64_t stated = 0;  // facts that upstream knows, on this stream
    std::shared_ptr<const StatedFacts> settled_facts;  // of the newest settled
    std::optional<ingest::Rejection> refused;          // by upstream, for good
    absl::Duration forget;                             // the refusal
  };

  absl::Duration now() const { return around_.clock.monotonic(); }
  Source* FindToken(uint64_t token);
  void Append(Source& source, Entry::Kind kind, uint64_t sequence,
              std::string bytes);
  void Detach(Source& source);
  // Tells the rank what is safe; welcomes it first.
  void Answer(Source& source);
  void WelcomeLate();
  void ForgetSources();

  void OpenStream();
  void Reset();
  void OnMessage(v1::ServerMessage message);
  void OnRefusal(const v1::Refusal& refusal);
  void RefuseForGood(Source& source, ingest::Rejection why);
  void OnClosed(const StreamEnd& end);
  bool IsSettled(const RunLog::Sent& sent) const;
  void OnForgotten(const RunLog::Sent& sent, std::optional<Where> lost);

  void Send();
  bool SendHello();
  bool MayAsk(const Source& source) const;
  void Ask(Source& source);
  // False if the entry has to wait.
  bool SendEnd(Source& source, const Entry& entry);
  void SendFacts(Source& source, const StatedFacts& facts);
  void SendReports();
  bool TakeDrainToken();
  void Write(const v1::ClientMessage& message);

  const std::string run_;
  const Surroundings& around_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  RunLog log_;
  std::map<uint32_t, Source> sources_;  // by number
  std::map<std::pair<uint32_t, uint64_t>, uint32_t>
      numbers_;                          // of (rank, incarnation)
  std::map<uint64_t, uint32_t> tokens_;  // to numbers
  std::set<std::string> via_;
  std::shared_ptr<const v1::Alerts> alerts_;

  std::unique_ptr<UpstreamStream> stream_;
  uint64_t generation_ = 0;  // tells events of an earlier stream
  bool heard_ = false;       // it has answered
  bool writing_ = false;
  bool finishing_ = false;
  bool away_ = false;  // it failed, and has not answered since
  bool stopping_ = false;
  bool look_ = true;  // for sources that upstream has not been asked for
  absl::Duration retry_at_ = -absl::InfiniteDuration();
  absl::Duration retry_delay_;
  absl::Duration batch_since_ = -absl::InfiniteDuration();
  size_t fresh_bytes_ = 0;  // came since the last batch
  double drain_tokens_ = 0;
  absl::Duration drained_ = -absl::InfiniteDuration();
};

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_LINE_H_
