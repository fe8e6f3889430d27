// The samples that ranks draw, epoch by epoch: internal to this room.
#ifndef MUSTER_DAEMON_CONSISTENCY_SAMPLE_ACCOUNTS_H_
#define MUSTER_DAEMON_CONSISTENCY_SAMPLE_ACCOUNTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "daemon/consistency/epoch_account.h"
#include "daemon/consistency/measures.h"
#include "daemon/frames/frame.h"

namespace muster::consistency {

// Keeps the epoch that ranks draw from and the one before it. An epoch is
// closed when each rank of a frame that states an epoch states a later one, or
// when a second later one begins; what is drawn from it afterwards is not
// counted. A new attempt starts again: it draws some samples anew by right.
// Facts that are read: `dataset_length`, `sampling` ("with replacement"),
// `sampler_shuffle` ("True"). Thread-compatible.
class SampleAccounts {
 public:
  // Pairs of (sample, rank) that are counted exactly in one epoch: 3 MB to
  // 7 MB.
  static constexpr size_t kCapacity = 131072;

  explicit SampleAccounts(size_t capacity = kCapacity) : capacity_(capacity) {}

  // Takes the frame in, and fills in `samples` of the measures and of its
  // ranks; `measures.ranks` has one entry for each report.
  void Measure(const frames::Frame& frame, Measures& measures);

 private:
  // The account of an epoch, made if it is new; null if it is closed.
  EpochAccount* Open(uint64_t epoch);
  void TakeIn(const frames::Frame& frame);

  const size_t capacity_;
  uint32_t attempt_ = 0;
  // Ascending: those that are open, and the closed one before them, if any.
  std::deque<std::unique_ptr<EpochAccount>> accounts_;
  bool first_is_closed_ = false;
};

}  // namespace muster::consistency

#endif  // MUSTER_DAEMON_CONSISTENCY_SAMPLE_ACCOUNTS_H_
