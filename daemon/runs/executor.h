// A fixed set of threads on which runs take their turns.
#ifndef MUSTER_DAEMON_RUNS_EXECUTOR_H_
#define MUSTER_DAEMON_RUNS_EXECUTOR_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "daemon/base/mutex.h"

namespace muster::runs {

// Thread-safe. Tasks run in the order scheduled, `threads` at a time.
class Executor {
 public:
  explicit Executor(int threads);
  // As Join().
  ~Executor();

  // Ignored after Join().
  void Schedule(std::function<void()> task);
  // Waits until nothing is scheduled or running. Others may schedule meanwhile.
  void WaitUntilIdle();
  // Runs what is scheduled (and what that schedules), then ends the threads.
  void Join();

 private:
  void Work();

  Mutex mutex_;
  CondVar changed_;  // a task is scheduled, or it is time to end
  CondVar idle_;     // nothing is scheduled or running
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool joining_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // touched by constructor and Join only
};

}  // namespace muster::runs

#endif  // MUSTER_DAEMON_RUNS_EXECUTOR_H_
