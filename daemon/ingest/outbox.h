// What waits to be written to one stream: bounded, however slowly it is read.
#ifndef MUSTER_DAEMON_INGEST_OUTBOX_H_
#define MUSTER_DAEMON_INGEST_OUTBOX_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/alert/alert.h"
#include "daemon/base/mutex.h"
#include "muster/v1/telemetry.pb.h"

namespace muster::ingest {

// Welcomes and refusals go out first, in order; then acknowledgements and
// firing sets take turns, so that neither waits for all of the other. Of each
// source only the newest waits, since it says it all, in the place of the
// first. At most 1,024 refusals, and of all else one for each of `max_sources`,
// wait; newer ones are left out.
//
// One writer at a time: `wake` hands the turn to it when something waits and
// nobody writes; it keeps the turn until Take() gives nothing. Thread-safe;
// shared by the stream and the links of its sources.
class Outbox {
 public:
  // `wake` is called under no lock, and never after Close() returned true or
  // Take() said `closed`. `max_sources`: sources that the stream may carry at
  // once. Numbers come and go, so that more may have something waiting.
  explicit Outbox(std::function<void()> wake, size_t max_sources = 4096);

  void Welcome(uint32_t source, uint64_t sequence);
  void Refuse(uint32_t source, uint64_t sequence, v1::RefusalReason reason,
              std::string detail);
  void Acknowledge(uint32_t source, uint64_t sequence);
  void ShowAlerts(uint32_t source, std::string run,
                  std::shared_ptr<const std::vector<alert::Alert>> alerts);

  struct Taken {
    std::optional<v1::ServerMessage> message;  // none: the turn is over
    bool closed = false;                       // and no other will come
    bool more = false;  // something else waits, or waited just now
  };
  // Called by the writer that has the turn.
  Taken Take();

  // Drops what waits and ignores what comes. False if a writer has the turn:
  // its next Take() says `closed`.
  bool Close();

 private:
  struct Firing {
    std::string run;
    std::shared_ptr<const std::vector<alert::Alert>> alerts;
  };

  // The newest word of each source, in the order in which they began to wait.
  template <typename Word>
  class NewestOfEach {
   public:
    // Null where there is no room for another source.
    Word* Find(uint32_t source, size_t max_sources) {
      const auto found = words_.find(source);
      if (found != words_.end()) return &found->second;
      if (words_.size() >= max_sources) return nullptr;
      order_.push_back(source);
      return &words_[source];
    }
    std::pair<uint32_t, Word> Take() {
      auto word = words_.extract(order_.front());
      order_.pop_front();
      return {word.key(), std::move(word.mapped())};
    }
    void Clear() {
      words_.clear();
      order_.clear();
    }
    bool empty() const { return words_.empty(); }

   private:
    std::unordered_map<uint32_t, Word> words_;
    std::deque<uint32_t> order_;  // their sources
  };

  // Left out if more than `limit` wait already.
  void Append(v1::ServerMessage message, size_t limit);
  // Starts the writer's turn if something waits and nobody writes; says
  // whether to wake it.
  bool BeginTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool empty() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ordered_.empty() && acknowledged_.empty() && firing_.empty();
  }

  const std::function<void()> wake_;
  const size_t max_sources_;

  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<v1::ServerMessage> ordered_ ABSL_GUARDED_BY(mutex_);
  NewestOfEach<uint64_t> acknowledged_ ABSL_GUARDED_BY(mutex_);
  NewestOfEach<Firing> firing_ ABSL_GUARDED_BY(mutex_);
  bool firing_next_ ABSL_GUARDED_BY(mutex_) = true;
};

}  // namespace muster::ingest

#endif  // MUSTER_DAEMON_INGEST_OUTBOX_H_
