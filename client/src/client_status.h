// What the sender knows and the host may ask at any time.
#ifndef MUSTER_CLIENT_SRC_CLIENT_STATUS_H_
#define MUSTER_CLIENT_SRC_CLIENT_STATUS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "client/src/mutex.h"
#include "muster/client.h"

namespace muster {

// Written by the sender thread, but for the facts; read by any. Thread-safe.
class ClientStatus {
 public:
  explicit ClientStatus(const Facts& facts)
      : facts_(std::make_shared<const Facts>(facts)) {}

  std::atomic<uint64_t> sent = 0;
  std::atomic<uint64_t> refused = 0;
  std::atomic<uint64_t> device_dropped = 0;
  std::atomic<uint64_t> streams = 0;  // welcomed ones
  std::atomic<bool> connected = false;
  std::atomic<bool> superseded = false;
  // Nothing will be sent any more: calls of the host do nothing.
  std::atomic<bool> silent = false;

  // The facts in force for the next report.
  std::shared_ptr<const Facts> facts() const {
    MutexLock lock(mutex_);
    return facts_;
  }
  void set_facts(std::shared_ptr<const Facts> facts) {
    MutexLock lock(mutex_);
    facts_.swap(facts);
  }

  std::vector<Alert> alerts() const {
    std::shared_ptr<const std::vector<Alert>> alerts;
    {
      MutexLock lock(mutex_);
      alerts = alerts_;
    }
    return *alerts;
  }
  void set_alerts(std::vector<Alert> alerts) {
    auto next = std::make_shared<const std::vector<Alert>>(std::move(alerts));
    MutexLock lock(mutex_);
    if (alerts_->empty() && next->empty()) return;
    alerts_.swap(next);
    alerts_generation_.fetch_add(1);
  }
  uint64_t alerts_generation() const { return alerts_generation_.load(); }

 private:
  std::atomic<uint64_t> alerts_generation_ = 0;
  mutable Mutex mutex_;
  std::shared_ptr<const Facts> facts_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const std::vector<Alert>> alerts_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const std::vector<Alert>>();
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_CLIENT_STATUS_H_
