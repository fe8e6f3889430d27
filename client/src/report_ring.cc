#include "client/src/report_ring.h"

#include <algorithm>
#include <utility>

namespace muster {

ReportRing::ReportRing(size_t capacity, size_t report_bytes)
    : slots_(capacity) {
  // Besides the queue: one in the producer's hands, one batch in the sender's.
  const size_t spare = 1 + std::min(capacity, kMaxBatchReports);
  leaving_.reserve(spare);
  free_.reserve(capacity + spare);
  for (size_t i = 0; i < capacity + spare; ++i) {
    free_.push_back(std::make_unique<Report>());
    free_.back()->bytes.reserve(report_bytes);
  }
}

std::unique_ptr<Report> ReportRing::Borrow() {
  {
    MutexLock lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Report> report = std::move(free_.back());
      free_.pop_back();
      return report;
    }
  }
  // A borrowed one was lost to an exception.
  return std::make_unique<Report>();
}

uint64_t ReportRing::next_sequence() const {
  MutexLock lock(mutex_);
  return next_;
}

void ReportRing::Push(std::unique_ptr<Report> report) {
  MutexLock lock(mutex_);
  if (next_ - oldest_ == slots_.size()) {
    PopOldest();
    ++dropped_;
  }
  slot(next_) = std::move(report);
  ++next_;
  if (closed_) DropAll();
}

void ReportRing::PopOldest() {
  const bool pinned = oldest_ >= pinned_begin_ && oldest_ < pinned_end_;
  (pinned ? leaving_ : free_).push_back(std::move(slot(oldest_)));
  ++oldest_;
}

Report* ReportRing::PinOpen() {
  MutexLock lock(mutex_);
  for (open_ = std::max(open_, oldest_); open_ < next_; ++open_) {
    if (slot(open_)->open.ticket == 0) continue;
    pinned_begin_ = open_;
    pinned_end_ = open_ + 1;
    return slot(open_).get();
  }
  return nullptr;
}

std::vector<const Report*> ReportRing::Pin(uint64_t* from) {
  std::vector<const Report*> batch;
  batch.reserve(kMaxBatchReports);
  MutexLock lock(mutex_);
  *from = std::max(*from, oldest_);
  size_t bytes = 0;
  for (uint64_t sequence = *from; sequence < next_; ++sequence) {
    const Report* report = slot(sequence).get();
    if (report->open.ticket != 0) break;
    bytes += report->bytes.size();
    if (!batch.empty() &&
        (batch.size() == kMaxBatchReports || bytes > kMaxBatchBytes ||
         report->facts != batch.front()->facts)) {
      break;
    }
    batch.push_back(report);
  }
  pinned_begin_ = *from;
  pinned_end_ = *from + batch.size();
  return batch;
}

void ReportRing::Unpin() {
  MutexLock lock(mutex_);
  pinned_begin_ = pinned_end_ = 0;
  for (std::unique_ptr<Report>& report : leaving_) {
    free_.push_back(std::move(report));
  }
  leaving_.clear();
}

void ReportRing::Settle(uint64_t sequence) {
  MutexLock lock(mutex_);
  while (oldest_ < next_ && oldest_ <= sequence) {
    PopOldest();
    ++acknowledged_;
  }
}

void ReportRing::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  DropAll();
}

void ReportRing::DropAll() {
  while (oldest_ < next_) {
    PopOldest();
    ++dropped_;
  }
}

std::shared_ptr<const Facts> ReportRing::OldestFacts() const {
  MutexLock lock(mutex_);
  return oldest_ == next_ ? nullptr : slots_[oldest_ % slots_.size()]->facts;
}

ReportRing::Counts ReportRing::counts() const {
  MutexLock lock(mutex_);
  return {.made = next_ - 1,
          .acknowledged = acknowledged_,
          .dropped = dropped_,
          .queued = next_ - oldest_};
}

}  // namespace muster
