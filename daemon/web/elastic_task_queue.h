// Threads on demand, for tasks that mostly wait.
#ifndef MUSTER_DAEMON_WEB_ELASTIC_TASK_QUEUE_H_
#define MUSTER_DAEMON_WEB_ELASTIC_TASK_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <thread>

#include "daemon/base/mutex.h"

namespace muster::web {

// Runs each task at once on an idle thread, or on a new one while there are
// fewer than `max_threads`; above that tasks wait. A fixed pool would let as
// many slow connections as it has threads stop everybody else. Threads that
// find nothing to do for a while end. Thread-safe.
class ElasticTaskQueue {
 public:
  explicit ElasticTaskQueue(size_t max_threads);
  // As Shutdown().
  ~ElasticTaskQueue();

  // `task` must not throw. Tasks enqueued after Shutdown() are dropped.
  void Enqueue(std::function<void()> task);
  // Runs what is queued, then joins all threads. Idempotent; not to be called
  // from a task.
  void Shutdown();

  size_t thread_count() const;

 private:
  void Work(std::list<std::thread>::iterator self);
  void StartThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_threads_;
  CondVar wake_;
  CondVar thread_ended_;
  mutable Mutex mutex_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::list<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  // Ended, but not yet joined.
  std::list<std::thread> ended_ ABSL_GUARDED_BY(mutex_);
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool shutdown_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_ELASTIC_TASK_QUEUE_H_
