#include "client/src/fork_count.h"

#include <pthread.h>

#include <atomic>
#include <mutex>

namespace muster {
namespace {

std::atomic<uint32_t> g_forks{0};
std::once_flag g_once;

}  // namespace

void CountForks() {
  std::call_once(g_once, [] {
    pthread_atfork(nullptr, nullptr,
                   [] { g_forks.fetch_add(1, std::memory_order_relaxed); });
  });
}

uint32_t ForkCount() { return g_forks.load(std::memory_order_relaxed); }

}  // namespace muster
