// What one run's ranks have said and upstream has not settled: the one ordered
// log of a relay.
#ifndef MUSTER_DAEMON_RELAY_RUN_LOG_H_
#define MUSTER_DAEMON_RELAY_RUN_LOG_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/relay/entry.h"
#include "daemon/relay/spool.h"
#include "daemon/relay/stats.h"

namespace muster::relay {

// In order of ids: first what is in the spool, then what is in memory. Two
// cursors run over it: what has been sent on the present stream, and behind it
// what upstream has settled, which is forgotten. Entries move from memory to
// the spool, and never back, except to be sent.
//
// Knows neither upstream nor ranks. Thread-compatible; owned by its line.
class RunLog {
 public:
  // An entry that was sent on the present stream.
  struct Sent {
    int64_t id = 0;
    Entry::Kind kind = Entry::Kind::kReport;
    uint32_t source = 0;
    uint64_t sequence = 0;
    size_t size = 0;
    std::shared_ptr<const StatedFacts> facts;
    absl::Duration at = absl::InfiniteDuration();
    std::optional<Where> gone;  // it cannot be sent again
  };
  struct Hooks {
    // Whether upstream has settled it.
    std::function<bool(const Sent&)> settled;
    // It is forgotten now: settled, or lost where it says.
    std::function<void(const Sent&, std::optional<Where> lost)> forget;
    // The spool has it.
    std::function<void(const Entry&)> committed;
    // Runs a function on the thread that owns the log.
    std::function<void(std::function<void()>)> post;
  };

  // `spool` may be null, and outlives the log.
  RunLog(std::string run, Spool* spool, Hooks hooks);
  ~RunLog();

  // Goes on with what an earlier relay has left in the spool.
  void Continue(const SpooledRun& found);

  void Append(Entry entry);
  // The next to be sent; null if there is none, or none is at hand.
  const Entry* Next(absl::Duration now);
  // Whether Next() comes from the spool, which is sent at a bounded rate.
  bool NextIsSpooled() const { return !ahead_.empty(); }
  // Next() was sent.
  void Advance(absl::Duration now);
  // Forgets what is settled, up to the first that is not.
  void Settle();
  // The stream is lost: all that is not settled is to be sent again.
  void Rewind();

  // Moves to the spool what is there since `before`, and all if `before` is
  // infinite. Does nothing without a spool.
  void Spill(absl::Time before, absl::Duration now);
  // Drops the oldest in memory; false if there is none that may be.
  bool DropOldest();
  // What the spool has dropped, and that it has lost all: returns how many of
  // those reports are on their way, so that they may have arrived.
  uint64_t SpoolDropped(int64_t through, Where where);
  uint64_t SpoolLost();

  bool empty() const { return memory_.empty() && !spooled(); }
  bool all_sent() const;
  int64_t sent_id() const { return sent_id_; }
  int64_t settled_id() const { return settled_id_; }
  // Whether something of it is in the spool.
  bool spooled() const { return spool_last_ > settled_id_; }
  size_t memory_bytes() const { return memory_bytes_; }
  size_t memory_entries() const { return memory_.size(); }
  // Bytes sent and not settled.
  size_t in_flight_bytes() const { return in_flight_bytes_; }
  // When the oldest was taken; infinite future if it is empty.
  absl::Time oldest() const;

 private:
  bool IsSettled(const Entry& entry) const;
  // Marks those on their way up to `through`; returns how many are reports.
  uint64_t MarkGone(int64_t through, Where where);
  void PopMemory();
  void ReadAhead(absl::Duration now);
  void SettleSpool();
  void Spilled(int64_t through, bool ok, const std::vector<Entry>& entries);

  const std::string run_;
  Spool* const spool_;
  const Hooks hooks_;
  // Answers of the spool look whether the log is still there.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::deque<Entry> memory_;
  size_t memory_bytes_ = 0;
  std::deque<Entry> ahead_;  // out of the spool, to be sent
  std::deque<Sent> in_flight_;
  size_t in_flight_bytes_ = 0;
  int64_t newest_id_ = 0;
  int64_t settled_id_ = 0;
  int64_t sent_id_ = 0;
  int64_t spool_last_ = 0;     // the newest that the spool has taken
  int64_t spool_settled_ = 0;  // the spool has been told
  absl::Time spool_oldest_ = absl::InfiniteFuture();
  int64_t spilling_ = 0;  // on its way to the spool, up to here; 0: nothing
  int64_t stream_ = 0;    // tells answers for an earlier stream
  bool reading_ = false;
  absl::Duration spill_again_ = -absl::InfiniteDuration();
  absl::Duration read_again_ = -absl::InfiniteDuration();
};

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_RUN_LOG_H_
