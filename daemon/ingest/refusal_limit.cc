#include "daemon/ingest/refusal_limit.h"

#include <algorithm>
#include <iterator>

namespace muster::ingest {
namespace {

constexpr size_t kBytesOfOne = 1024;

}  // namespace

bool RefusalLimit::Charge(const std::string& sender, size_t bytes,
                          absl::Duration now) {
  MutexLock lock(mutex_);
  if (spent_.size() >= forget_at_) Forget(now);
  Spent& spent = spent_[sender];
  const size_t more = bytes / kBytesOfOne;
  spent.amount = Left(spent, now) + 1 + static_cast<double>(more);
  spent.at = now;
  const bool within = spent.amount <= allowance_;
  // What is too much is not paid for by longer waiting.
  spent.amount = std::min(spent.amount, allowance_);
  return within;
}

size_t RefusalLimit::remembered() const {
  MutexLock lock(mutex_);
  return spent_.size();
}

double RefusalLimit::Left(const Spent& spent, absl::Duration now) const {
  const double back = absl::FDivDuration(now - spent.at, kRefill) * allowance_;
  return std::max(0.0, spent.amount - back);
}

void RefusalLimit::Forget(absl::Duration now) {
  for (auto it = spent_.begin(); it != spent_.end();) {
    it = Left(it->second, now) == 0 ? spent_.erase(it) : std::next(it);
  }
  forget_at_ = std::max<size_t>(1024, 2 * spent_.size());
}

}  // namespace muster::ingest
