// What a client under test has logged.
#ifndef MUSTER_TESTS_CLIENT_LOG_LINES_H_
#define MUSTER_TESTS_CLIENT_LOG_LINES_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

namespace muster {

// Lines that a client logs. Thread-safe.
class LogLines {
 public:
  void Add(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_ += line + "\n";
    changed_.notify_all();
  }
  bool WaitForText(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      return lines_.find(text) != std::string::npos;
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string lines_;
};

}  // namespace muster

#endif  // MUSTER_TESTS_CLIENT_LOG_LINES_H_
