/* Stable C ABI of the Muster client (libmuster.so). No call throws, aborts or
 * blocks on the network. Strings are UTF-8, NUL-terminated and copied. A null
 * client is allowed everywhere and does nothing. */
#ifndef MUSTER_MUSTER_H_
#define MUSTER_MUSTER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MUSTER_API __attribute__((visibility("default")))
#else
#define MUSTER_API
#endif

typedef struct muster_client muster_client; /* opaque */

typedef enum muster_status {
  MUSTER_OK = 0,
  MUSTER_INVALID_ARGUMENT = 1, /* muster_last_error() says which */
  MUSTER_INTERNAL = 2,         /* a bug of ours, contained */
  MUSTER_UNAVAILABLE = 3       /* muster_observe_device only */
} muster_status;

typedef enum muster_data_type {
  MUSTER_FLOAT32 = 0,
  MUSTER_FLOAT16 = 1,
  MUSTER_BFLOAT16 = 2,
  MUSTER_FLOAT64 = 3,                    /* a loss on a device only */
  MUSTER_DATA_TYPE_RESERVED = 0x7FFFFFFF /* so that any int may be passed */
} muster_data_type;

/* Zero-initialise, set struct_size = sizeof(muster_options), then what you
 * need; 0 and NULL mean the default. */
typedef struct muster_options {
  size_t struct_size;
  const char* address;      /* HOST:PORT, unix:PATH, tls://HOST:PORT; "" idle */
  const char* run_id;       /* [A-Za-z0-9._:-]{1,128} */
  uint32_t rank;            /* 0 … world_size − 1 */
  uint32_t world_size;      /* ≥ 1 */
  uint32_t sketch_width;    /* power of two, 64 … 65536; default 1024 */
  uint64_t sketch_seed;     /* default: the fixed one */
  uint64_t parameter_count; /* elements of the flat gradient; 0 unknown */
  uint32_t ring_capacity;   /* reports; default 256 */
  uint32_t flush_timeout_ms; /* default 2000 */
  /* Files in PEM form for tls://: whom to trust, our certificate, its key; and
   * one with a token, shown over tls://, unix: or to a loopback address alone.
   * NULL: MUSTER_CA_FILE, MUSTER_CERT_FILE, MUSTER_KEY_FILE, MUSTER_TOKEN_FILE
   */
  const char* ca_file;
  const char* cert_file;
  const char* key_file;
  const char* token_file;
} muster_options;

/* Zero-initialise, set struct_size. A has_ field of 0 means absent. (Members
 * are added at the end, and so that they do not fall into the padding there,
 * which callers of before hold nothing certain in.) */
typedef struct muster_step {
  size_t struct_size;
  uint64_t step; /* 0 … 2^62 */
  int has_loss, has_weight, has_learning_rate, has_gradient_scale,
      has_replica_fingerprint;
  double loss;
  double weight;
  double learning_rate;
  double gradient_scale;
  uint64_t replica_fingerprint;
  const uint64_t* sample_ids; /* sample_id_count ids, ≤ 4096 kept */
  size_t sample_id_count;
  /* Instead of loss: one number in the memory of a CUDA device, read in the
   * order of the stream (cudaStream_t) and not waited for. NULL: none. */
  const void* device_loss;
  muster_data_type device_loss_type;
  int device;
  void* stream;
  /* Instead of gradient_scale, for gradients on that device: one float32 there,
   * as the loss. NULL: none. */
  const void* device_gradient_scale;
  int has_epoch, has_sample_limit;
  uint64_t epoch;             /* of sample_ids, 0 … 2^62 */
  uint64_t sample_limit;      /* only ids with mix64 below it are recorded */
  int sample_ids_are_batches; /* not 0: hashes of whole batches */
  /* not 0: muster_observe came later than the gradient, perhaps after ranks had
   * waited for each other: the rank's time of its own is not told. Counts only
   * if struct_size reaches beyond waited_seconds. */
  int observed_late;
  /* From the end of the step before to the last muster_observe, in waits for
   * other ranks: taken out of the rank's time of its own. Seconds, ≥ 0. */
  double waited_seconds;
} muster_step;

typedef struct muster_stats_t {
  size_t struct_size; /* set before the call */
  uint64_t made, sent, acknowledged, dropped, queued, refused, reconnects;
  int connected, superseded;
  uint64_t device_dropped; /* steps whose device gave no gradient */
} muster_stats_t;

/* Starts a client. *client is NULL on failure. Never waits for the daemon. */
MUSTER_API muster_status muster_start(const muster_options* options,
                                      muster_client** client);

/* Sketches `count` elements at `offset` of the local gradient. Calls whose
 * elements are all zero are counted: give each parameter tensor its own. */
MUSTER_API muster_status muster_observe(muster_client* client, uint64_t offset,
                                        const void* data, size_t count,
                                        muster_data_type type);

/* As muster_observe, of memory on a CUDA device, as it is in the order of
 * `stream` (cudaStream_t), which may overwrite it afterwards. Waits for
 * nothing: the report of the step is sent once the device has come so far.
 * MUSTER_UNAVAILABLE: that memory cannot be read (no libmuster_cuda.so beside
 * this library or at MUSTER_CUDA_LIBRARY, driver too old, another device than
 * the first); observe a copy in host memory. */
MUSTER_API muster_status muster_observe_device(muster_client* client,
                                               uint64_t offset,
                                               const void* data, size_t count,
                                               muster_data_type type,
                                               int device, void* stream);
/* Fingerprints and sketches `count` elements at `offset` of the parameters, for
 * this step's report. group: 0 … 31. Ranks must make the same calls. */
MUSTER_API muster_status muster_observe_parameters(
    muster_client* client, uint32_t group, uint64_t offset, const void* data,
    size_t count, muster_data_type type);

/* Sketches `count` elements at `offset` of the parameters' change since the
 * ranks last agreed on them (local-update training). */
MUSTER_API muster_status muster_observe_change(muster_client* client,
                                               uint64_t offset,
                                               const void* data, size_t count,
                                               muster_data_type type);

/* Queues the report of a step. A field outside its range is left out of the
 * report, and the status says so; only a step beyond 2^62 makes no report. */
MUSTER_API muster_status muster_end_step(muster_client* client,
                                         const muster_step* step);

/* Forgets what was observed since the last muster_end_step: for a step that
 * ends in an error, or whose gradient is thrown away. Makes no report. */
MUSTER_API muster_status muster_discard_step(muster_client* client);

/* States one fact, from the next report on. shown_only: not judged. */
MUSTER_API muster_status muster_fact(muster_client* client, const char* name,
                                     const char* value, int shown_only);

MUSTER_API muster_status muster_stats(muster_client* client,
                                      muster_stats_t* stats);

/* Writes the firing alerts as a JSON array (NUL-terminated) into `buffer` and
 * the length needed, NUL included, into *needed. If that is more than `size`,
 * nothing is written. Objects of id, kind, subject, ranks, first_step,
 * last_step, value, expected (null if not finite), evidence, silent. */
MUSTER_API muster_status muster_alerts(muster_client* client, char* buffer,
                                       size_t size, size_t* needed);

/* Changes whenever the firing set does; cheap enough for every step. */
MUSTER_API uint64_t muster_alerts_generation(muster_client* client);

/* Flushes for at most the flush timeout and says goodbye. Other threads may be
 * in a call on the client, and calls after it do nothing; muster_stop is still
 * to be called. */
MUSTER_API muster_status muster_close(muster_client* client);

/* As muster_close, then frees the client: no other call may be under way. */
MUSTER_API muster_status muster_stop(muster_client* client);

/* The last failure on this thread, one line; valid until the next call. */
MUSTER_API const char* muster_last_error(void);

/* Library version, "0.1.0". */
MUSTER_API const char* muster_version(void);

#ifdef __cplusplus
}
#endif

#endif /* MUSTER_MUSTER_H_ */
