#include "client/src/descriptor.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>

#include "client/src/mutex.h"

namespace muster {
namespace {

// Held for a system call or two, so that no fork comes between a descriptor and
// its place in the list.
Mutex g_mutex;
Descriptor* g_open ABSL_GUARDED_BY(g_mutex) = nullptr;
std::once_flag g_once;

}  // namespace

// Before a fork until after it the forking thread holds the lock, of which the
// child has a copy.
struct Descriptor::Forks {
  static void Before() ABSL_NO_THREAD_SAFETY_ANALYSIS { g_mutex.lock(); }
  static void InParent() ABSL_NO_THREAD_SAFETY_ANALYSIS { g_mutex.unlock(); }
  static void InChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (Descriptor* open = g_open; open != nullptr; open = open->next_) {
      close(open->value_);
    }
    g_open = nullptr;
    g_mutex.unlock();
  }
};

bool Descriptor::Open(int family) {
  std::call_once(g_once, [] {
    pthread_atfork(Forks::Before, Forks::InParent, Forks::InChild);
  });
  MutexLock lock(g_mutex);
  value_ = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (value_ < 0) return false;
  next_ = g_open;
  link_ = &g_open;
  if (next_ != nullptr) next_->link_ = &next_;
  g_open = this;
  return true;
}

void Descriptor::Close() {
  if (value_ < 0) return;
  // For a copy that came about without fork()'s handlers.
  shutdown(value_, SHUT_RDWR);
  MutexLock lock(g_mutex);
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  close(value_);
  value_ = -1;
}

}  // namespace muster
