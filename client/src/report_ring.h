// The reports that the daemon has not settled yet.
#ifndef MUSTER_CLIENT_SRC_REPORT_RING_H_
#define MUSTER_CLIENT_SRC_REPORT_RING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/src/mutex.h"
#include "muster/client.h"

namespace muster {

// What a report lacks while a device computes it.
struct OpenPart {
  uint64_t ticket = 0;        // of DeviceSketch; 0: the report is complete
  bool has_gradient = false;  // the fields of SetGradient() are missing
  uint64_t elements = 0;
  double scale = 1;
  bool scale_on_device = false;  // then `scale` is not known yet
  // Sums of what was observed in host memory; no values if nothing was.
  std::vector<double> host_values;
  double host_squared_norm = 0;
  uint64_t host_nonfinite_count = 0;
};

struct Report {
  std::string bytes;  // an encoded StepReport
  OpenPart open;
  std::shared_ptr<const Facts> facts;  // those in force when it was made
};

// A bounded queue of reports with consecutive sequence numbers, from 1. When it
// is full the oldest is dropped and counted. All buffers are made at the start
// and reused; the lock is held only to move pointers. Thread-safe for one
// producer at a time and one sender.
class ReportRing {
 public:
  // Reports of one batch at most, and their bytes; a batch that is larger has
  // one report.
  static constexpr size_t kMaxBatchReports = 64;
  static constexpr size_t kMaxBatchBytes = size_t{64} * 1024;

  struct Counts {
    uint64_t made = 0;
    uint64_t acknowledged = 0;
    uint64_t dropped = 0;
    uint64_t queued = 0;
  };

  // Requires capacity ≥ 1. `report_bytes`: room reserved for each report.
  ReportRing(size_t capacity, size_t report_bytes);

  // Producer: a buffer to fill, with what its last use left in it.
  std::unique_ptr<Report> Borrow();
  // Producer: the sequence number that the next report gets.
  uint64_t next_sequence() const;
  // Producer: queues what was borrowed.
  void Push(std::unique_ptr<Report> report);

  // Sender: pins the oldest report that is not complete, to complete it; null
  // if there is none. Unpin() follows.
  Report* PinOpen();
  // Sender: pins the reports from `*from` on, or from the oldest if that is
  // gone, which share the first one's facts and fit into one batch; none beyond
  // the first that is not complete. `*from`
  // becomes the first one's sequence. They stay readable until Unpin().
  std::vector<const Report*> Pin(uint64_t* from);
  void Unpin();
  // Forgets the reports up to `sequence`.
  void Settle(uint64_t sequence);
  // Drops all, and whatever is pushed from now on.
  void Close();

  // Facts of the oldest report; null if there is none.
  std::shared_ptr<const Facts> OldestFacts() const;
  Counts counts() const;

 private:
  std::unique_ptr<Report>& slot(uint64_t sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return slots_[sequence % slots_.size()];
  }
  void DropAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PopOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  // [oldest_, next_) are queued, each in slot(sequence).
  std::vector<std::unique_ptr<Report>> slots_ ABSL_GUARDED_BY(mutex_);
  uint64_t oldest_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  // [pinned_begin_, pinned_end_) are being read by the sender; those that leave
  // the queue meanwhile wait in `leaving_`.
  uint64_t pinned_begin_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t pinned_end_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Report>> leaving_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Report>> free_ ABSL_GUARDED_BY(mutex_);
  // All before are complete.
  uint64_t open_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_REPORT_RING_H_
