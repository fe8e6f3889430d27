/* C ABI of libmuster_cuda.so, which sums up what the sketch needs of gradients
 * in the memory of one CUDA device. libmuster.so loads it when it is first
 * given device memory; nobody else is meant to.
 *
 * All work is queued on the streams that it is given, in their order. No call
 * waits for a stream or the device. The first observation allocates (about
 * 13 MiB of the device, 200 KiB of pinned memory at width 1024) and loads the
 * kernels. Calls that observe, end or discard come from one thread at a time;
 * muster_cuda_poll may run beside them on another. None throws or aborts. */
#ifndef MUSTER_CLIENT_CUDA_MUSTER_CUDA_H_
#define MUSTER_CLIENT_CUDA_MUSTER_CUDA_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MUSTER_CUDA_API __attribute__((visibility("default")))

/* Changes with whatever is below. */
#define MUSTER_CUDA_ABI 1

/* Results of steps that may be on their way at a time. */
#define MUSTER_CUDA_SLOTS 16

typedef struct muster_cuda muster_cuda; /* opaque */

typedef enum muster_cuda_status {
  MUSTER_CUDA_OK = 0,
  /* Not in this process: driver, kernels, memory. */
  MUSTER_CUDA_UNAVAILABLE = 1,
  /* This step's gradient is incomplete and gives no sums: a CUDA error, or the
   * stream is being captured into a graph. */
  MUSTER_CUDA_SKIPPED = 2,
  MUSTER_CUDA_NOT_READY = 3, /* muster_cuda_poll only */
  /* muster_cuda_poll only: there will be no result. */
  MUSTER_CUDA_FAILED = 4
} muster_cuda_status;

/* Element types, as muster_data_type; float64 for a loss only. */
enum {
  MUSTER_CUDA_FLOAT32 = 0,
  MUSTER_CUDA_FLOAT16 = 1,
  MUSTER_CUDA_BFLOAT16 = 2,
  MUSTER_CUDA_FLOAT64 = 3
};

typedef struct muster_cuda_result {
  int has_sums; /* every observation of the step was summed */
  int has_loss;
  double squared_norm; /* of the finite elements */
  uint64_t nonfinite_count;
  double loss;
  int has_scale;
  double scale;
} muster_cuda_result;

/* MUSTER_CUDA_ABI of the library. */
MUSTER_CUDA_API uint32_t muster_cuda_abi(void);

/* For `device` (cudaSetDevice), which it does not touch yet. Requires a width
 * that the sketch allows. NULL if out of memory. */
MUSTER_CUDA_API muster_cuda* muster_cuda_create(int device, uint32_t width,
                                                uint64_t seed);

/* Adds elements [offset, offset + count) of the flat gradient. `data` may have
 * any alignment and must stay as it is until the stream has passed here. */
MUSTER_CUDA_API muster_cuda_status
muster_cuda_observe(muster_cuda* cuda, void* stream, uint64_t offset,
                    const void* data, uint64_t count, int type);

/* Ends the step: queues the last sums and their copy to the host. `loss`: NULL,
 * or one number in the device's memory, ready in the order of `stream`;
 * `scale`, the loss scale, likewise, in float32. Without both `stream` is
 * ignored. Returns a ticket for muster_cuda_poll, or 0 if there is nothing to
 * come: nothing observed, an observation skipped, or all slots taken by results
 * that are still on their way. */
MUSTER_CUDA_API uint64_t muster_cuda_end_step(muster_cuda* cuda, void* stream,
                                              const void* loss, int loss_type,
                                              const void* scale);

/* Forgets what was observed since the last step. */
MUSTER_CUDA_API void muster_cuda_discard(muster_cuda* cuda);

/* The result of a ticket, once; `values` gets `width` numbers if has_sums. */
MUSTER_CUDA_API muster_cuda_status muster_cuda_poll(muster_cuda* cuda,
                                                    uint64_t ticket,
                                                    double* values,
                                                    muster_cuda_result* result);

/* The last failure, one line that stays valid; NULL if there was none. */
MUSTER_CUDA_API const char* muster_cuda_failure(muster_cuda* cuda);

/* Work may still be queued: memory is not freed, which would wait for it, but
 * kept for the next muster_cuda_create of the same device and width. */
MUSTER_CUDA_API void muster_cuda_destroy(muster_cuda* cuda);

#ifdef __cplusplus
}
#endif

#endif /* MUSTER_CLIENT_CUDA_MUSTER_CUDA_H_ */
