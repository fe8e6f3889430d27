// Tells a forked child from its parent without a system call.
#ifndef MUSTER_CLIENT_SRC_FORK_COUNT_H_
#define MUSTER_CLIENT_SRC_FORK_COUNT_H_

#include <cstdint>

namespace muster {

// Starts counting, from the first call on. Called before anything compares
// counts; thread-safe.
void CountForks();

// How many forks lie between the first CountForks() and this process: the same
// number means the same process. Thread-safe, a plain load. Children made
// without the C library's fork handlers (vfork, a bare clone) are not counted;
// they may only exec.
uint32_t ForkCount();

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_FORK_COUNT_H_
