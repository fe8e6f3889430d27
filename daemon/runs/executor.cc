#include "daemon/runs/executor.h"

#include <utility>

namespace muster::runs {

Executor::Executor(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Executor::~Executor() { Join(); }

void Executor::Schedule(std::function<void()> task) {
  {
    MutexLock lock(mutex_);
    // A running task may still schedule while Join() waits for it.
    if (joining_ && running_ == 0) return;
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void Executor::WaitUntilIdle() {
  MutexLock lock(mutex_);
  while (!tasks_.empty() || running_ > 0) idle_.wait(mutex_);
}

void Executor::Join() {
  {
    MutexLock lock(mutex_);
    joining_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Executor::Work() {
  for (;;) {
    std::function<void()> task;
    {
      MutexLock lock(mutex_);
      while (tasks_.empty() && !(joining_ && running_ == 0)) {
        changed_.wait(mutex_);
      }
      if (tasks_.empty()) break;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      ++running_;
    }
    task();
    MutexLock lock(mutex_);
    if (--running_ > 0 || !tasks_.empty()) continue;
    idle_.notify_all();
    if (joining_) changed_.notify_all();
  }
}

}  // namespace muster::runs
