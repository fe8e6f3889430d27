/* What a test may ask of the device in fake_cuda_runtime.cc. */
#ifndef MUSTER_TESTS_TESTING_FAKE_CUDA_RUNTIME_H_
#define MUSTER_TESTS_TESTING_FAKE_CUDA_RUNTIME_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MUSTER_CUDA_FAKE_API __attribute__((visibility("default")))

/* Nothing runs before events have been asked for so many times; < 0: ever. */
MUSTER_CUDA_FAKE_API void muster_cuda_fake_delay(int64_t queries);
/* From now on all fails with this line, which is not copied; NULL: no more. */
MUSTER_CUDA_FAKE_API void muster_cuda_fake_fail(const char* failure);
MUSTER_CUDA_FAKE_API void muster_cuda_fake_capture(void* stream, int capturing);
/* Observations whose sums were queued. */
MUSTER_CUDA_FAKE_API uint64_t muster_cuda_fake_sums(void);
MUSTER_CUDA_FAKE_API uint64_t muster_cuda_fake_allocations(void);

#ifdef __cplusplus
}
#endif

#endif /* MUSTER_TESTS_TESTING_FAKE_CUDA_RUNTIME_H_ */
