// A source link that remembers what it was told.
#ifndef MUSTER_TESTS_TESTING_FAKE_LINK_H_
#define MUSTER_TESTS_TESTING_FAKE_LINK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/mutex.h"
#include "daemon/runs/link.h"

namespace muster::testing {

// Thread-safe.
class FakeLink : public runs::SourceLink {
 public:
  struct Refused {
    runs::RunRefusal reason;
    uint64_t sequence;
    std::string detail;
  };

  void Welcome(uint64_t sequence) override {
    MutexLock lock(mutex_);
    welcomes_.push_back(sequence);
  }
  void Acknowledge(uint64_t sequence) override {
    MutexLock lock(mutex_);
    acknowledged_.push_back(sequence);
  }
  void Refuse(runs::RunRefusal reason, uint64_t sequence,
              std::string detail) override {
    MutexLock lock(mutex_);
    refusals_.push_back({reason, sequence, std::move(detail)});
  }
  void ShowAlerts(
      std::shared_ptr<const std::vector<alert::Alert>> alerts) override {
    MutexLock lock(mutex_);
    shown_.push_back(*alerts);
  }

  std::vector<uint64_t> welcomes() const {
    MutexLock lock(mutex_);
    return welcomes_;
  }
  std::vector<uint64_t> acknowledged() const {
    MutexLock lock(mutex_);
    return acknowledged_;
  }
  std::vector<Refused> refusals() const {
    MutexLock lock(mutex_);
    return refusals_;
  }
  std::vector<std::vector<alert::Alert>> shown() const {
    MutexLock lock(mutex_);
    return shown_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<uint64_t> welcomes_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::vector<Refused> refusals_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::vector<alert::Alert>> shown_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::testing

#endif  // MUSTER_TESTS_TESTING_FAKE_LINK_H_
