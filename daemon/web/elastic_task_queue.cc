#include "daemon/web/elastic_task_queue.h"

#include <chrono>
#include <iterator>
#include <system_error>
#include <utility>

namespace muster::web {
namespace {

// Long enough to serve the next scrape, short enough to let go after a burst.
constexpr std::chrono::seconds kIdleLife{30};

}  // namespace

ElasticTaskQueue::ElasticTaskQueue(size_t max_threads)
    : max_threads_(max_threads) {}

ElasticTaskQueue::~ElasticTaskQueue() { Shutdown(); }

void ElasticTaskQueue::Enqueue(std::function<void()> task) {
  std::list<std::thread> ended;
  {
    MutexLock lock(mutex_);
    if (shutdown_) return;
    tasks_.push_back(std::move(task));
    if (idle_ < tasks_.size() && threads_.size() < max_threads_) StartThread();
    ended.swap(ended_);
  }
  wake_.notify_one();
  for (std::thread& thread : ended) thread.join();
}

void ElasticTaskQueue::StartThread() {
  threads_.emplace_back();
  const auto self = std::prev(threads_.end());
  try {
    *self = std::thread([this, self] { Work(self); });
  } catch (const std::system_error&) {
    // The task waits for a thread that there is.
    threads_.erase(self);
  }
}

void ElasticTaskQueue::Work(std::list<std::thread>::iterator self) {
  mutex_.lock();
  for (;;) {
    while (tasks_.empty() && !shutdown_) {
      ++idle_;
      const auto woken = wake_.wait_for(mutex_, kIdleLife);
      --idle_;
      if (woken == std::cv_status::timeout) break;
    }
    if (tasks_.empty()) break;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    mutex_.unlock();
    task();
    task = nullptr;
    mutex_.lock();
  }
  ended_.splice(ended_.end(), threads_, self);
  thread_ended_.notify_all();
  mutex_.unlock();
}

void ElasticTaskQueue::Shutdown() {
  std::list<std::thread> ended;
  {
    MutexLock lock(mutex_);
    shutdown_ = true;
    wake_.notify_all();
    while (!threads_.empty()) thread_ended_.wait(mutex_);
    ended.swap(ended_);
  }
  for (std::thread& thread : ended) thread.join();
}

size_t ElasticTaskQueue::thread_count() const {
  MutexLock lock(mutex_);
  return threads_.size();
}

}  // namespace muster::web
