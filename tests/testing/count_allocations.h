// Replaces the global operator new by one that counts. For programs of one
// source alone: include it once, and nowhere else in the program.
#ifndef MUSTER_TESTS_TESTING_COUNT_ALLOCATIONS_H_
#define MUSTER_TESTS_TESTING_COUNT_ALLOCATIONS_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace muster::testing {

// Allocations of this thread while it counts.
inline thread_local bool t_counting = false;
inline thread_local uint64_t t_allocations = 0;

inline void* Allocate(size_t size) {
  if (t_counting) ++t_allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace muster::testing

void* operator new(size_t size) { return muster::testing::Allocate(size); }
void* operator new[](size_t size) { return muster::testing::Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

#endif  // MUSTER_TESTS_TESTING_COUNT_ALLOCATIONS_H_
