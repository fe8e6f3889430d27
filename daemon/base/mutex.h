// std::mutex with Clang's thread-safety annotations. Debian's absl::Mutex is
// not instrumented, so ThreadSanitizer reports false races through it.
#ifndef MUSTER_DAEMON_BASE_MUTEX_H_
#define MUSTER_DAEMON_BASE_MUTEX_H_

#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace muster {

class ABSL_LOCKABLE Mutex {
 public:
  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits with a Mutex: CondVar cv; cv.wait(mutex_) inside a MutexLock.
using CondVar = std::condition_variable_any;

}  // namespace muster

#endif  // MUSTER_DAEMON_BASE_MUTEX_H_
