// A file that keeps over a restart what a webhook has not been told yet.
#ifndef MUSTER_DAEMON_SINKS_JOURNAL_H_
#define MUSTER_DAEMON_SINKS_JOURNAL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/status/status.h"

namespace muster::sinks {

// One change of an alert, as it is told to a webhook.
struct QueuedChange {
  uint64_t number = 0;  // rises
  std::string id;       // the same for each attempt to deliver it; no tabs
  std::string body;     // one line
};

// Lines "+NUMBER ID BODY" for what waits and "-NUMBER" for what was taken, with
// all before it; others say nothing. Emptied when nothing waits. Not flushed to
// the disk: it outlives the process, not the machine. Thread-compatible; owned
// by a WebhookOutbox. An error leaves it usable: the next call tries again.
class Journal {
 public:
  // Above this it is long, unless twice what waited needed more.
  static constexpr size_t kMaxBytes = size_t{8} << 20;

  explicit Journal(std::string path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // What a daemon before this one left behind, oldest first; a line that it did
  // not finish is left out. Nothing if there is no file.
  std::deque<QueuedChange> Load() const;

  absl::Status Add(const QueuedChange& change);
  // `none_waits`: nothing that was added still waits.
  absl::Status Taken(uint64_t number, bool none_waits);

  // Whether it is time to Rewrite().
  bool is_long() const { return bytes_ > long_at_; }
  // Keeps just `waiting`.
  absl::Status Rewrite(const std::deque<QueuedChange>& waiting);

 private:
  // Opens the file for appending, if it is not open.
  absl::Status Open();
  absl::Status Append(const std::string& line);
  absl::Status Error(const char* what) const;

  const std::string path_;
  int descriptor_ = -1;
  size_t bytes_ = 0;
  size_t long_at_ = kMaxBytes;
};

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_JOURNAL_H_
