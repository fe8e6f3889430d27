// The Muster client: one small report for each training step, streamed to
// `musterd` by one background thread.
//
// Promises to the training process: no call blocks on the network or on the
// daemon; memory is fixed at start; nothing throws or aborts; a forked child's
// copy is inert; daemon absent, slow, killed or wrong costs nothing but data.
#ifndef MUSTER_CLIENT_H_
#define MUSTER_CLIENT_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "muster/sketch.h"

namespace muster {

// A value that all ranks should share, compared as text.
struct Fact {
  std::string value;        // ≤ 256 bytes
  bool shown_only = false;  // displayed, need not agree (seeds of generators)
};
// By name; ≤ 64 entries, names of 1 … 64 bytes.
using Facts = std::map<std::string, Fact>;

struct Options {
  // HOST:PORT, unix:PATH, or tls://HOST:PORT. Empty: a client that does
  // nothing, so that a training script needs no condition.
  std::string address;
  // [A-Za-z0-9._:-]{1,128}; the same on all ranks.
  std::string run_id;
  uint32_t rank = 0;
  uint32_t world_size = 1;
  SketchSpec sketch;
  // Elements of the flat gradient, frozen parameters included; 0 if unknown.
  uint64_t parameter_count = 0;
  // Facts of this incarnation known at start.
  Facts facts;
  // Reports kept until the daemon has acknowledged them: outages of up to this
  // many steps cost no data, each costs about 2·width bytes. 1 … 65536.
  size_t ring_capacity = 256;
  // Longest that Stop() waits for what is queued to be acknowledged.
  std::chrono::milliseconds flush_timeout{2000};
  // Files in PEM form for tls://: whom to trust, our own certificate, its key;
  // and one with a token, which is shown over tls://, unix: or to a loopback
  // address alone. Read at each connection. Empty: MUSTER_CA_FILE,
  // MUSTER_CERT_FILE, MUSTER_KEY_FILE, MUSTER_TOKEN_FILE.
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string token_file;
  // Called for each line worth telling a person (refused, superseded), at most
  // a few times in a process's life, on the sender thread. Default: stderr.
  std::function<void(const std::string& line)> log;

  // MUSTER_ADDRESS; MUSTER_RUN_ID, else TORCHELASTIC_RUN_ID unless "none",
  // else SLURM_JOB_ID; RANK; WORLD_SIZE. What is not set keeps its default; a
  // number that cannot be parsed is named in `*error`.
  static Options FromEnvironment(std::string* error);

  // Empty if good, else one line that names field, value and allowed range.
  std::string Validate() const;
};

// A stream of a CUDA device.
struct DeviceStream {
  int device = 0;          // as of cudaSetDevice
  void* stream = nullptr;  // cudaStream_t
};

// One number in the memory of a CUDA device, ready in the order of a stream.
struct DeviceNumber {
  enum class Type : int {
    kFloat32 = 0,
    kFloat16 = 1,
    kBFloat16 = 2,
    kFloat64 = 3,
  };
  const void* address = nullptr;
  Type type = Type::kFloat32;
  DeviceStream where;
};

// What ends a step.
struct StepEnd {
  uint64_t step = 0;  // 0 … 2⁶²
  std::optional<double> loss;
  // Instead of `loss`: read once the device has it.
  std::optional<DeviceNumber> device_loss;
  std::optional<double> weight;  // samples or tokens behind the loss, > 0
  std::optional<double> learning_rate;
  // Loss scale in force: norms are divided by it. > 0; out of range, it takes
  // norm and sketch with it.
  std::optional<double> gradient_scale;
  // Instead of `gradient_scale`, for gradients on the same device; float32.
  std::optional<DeviceNumber> device_gradient_scale;
  // Hash of the parameters; takes the place of what was observed of them.
  std::optional<uint64_t> replica_fingerprint;
  std::vector<uint64_t> sample_ids;  // ≤ 4096; more are cut off
  // Of sample_ids, so that the daemon accounts for them by epoch. 0 … 2⁶².
  std::optional<uint64_t> epoch;
  // Given where only ids whose mix64 (docs/sketch.md) is below it are recorded.
  std::optional<uint64_t> sample_limit;
  // sample_ids are hashes of whole batches: samples have no ids.
  bool sample_ids_are_batches = false;
  // Observe() was called later than the gradient was there, perhaps when ranks
  // had waited for each other: the time of its own computing is not told.
  bool observed_late = false;
  // From the end of the step before to the last Observe(), in waits for other
  // ranks: taken out of the time of its own computing. ≥ 0; out of range, that
  // time is not told.
  double waited_seconds = 0;
};

// Counts since Start().
struct Stats {
  uint64_t made = 0;            // reports made by EndStep
  uint64_t sent = 0;            // written to a stream, re-sent ones again
  uint64_t acknowledged = 0;    // settled by the daemon
  uint64_t dropped = 0;         // pushed out of a full ring, or left at Stop
  uint64_t queued = 0;          // in the ring now
  uint64_t refused = 0;         // refused by the daemon
  uint64_t reconnects = 0;      // streams opened after the first
  uint64_t device_dropped = 0;  // steps whose device gave no gradient
  bool connected = false;       // a stream is open and welcomed
  bool superseded = false;      // a newer incarnation of this rank took over
};

// An alert that fires for this run, as the daemon tells it.
struct Alert {
  uint64_t id = 0;
  std::string kind;
  std::string subject;
  std::vector<uint32_t> ranks;
  uint64_t first_step = 0;
  uint64_t last_step = 0;
  double value = 0;
  double expected = 0;
  std::string evidence;
  bool silent = false;
  std::string severity;       // "info", "warning", "critical"; empty: not told
  uint64_t explained_by = 0;  // id of the alert that may explain this; 0: none
};

// One rank's connection to the daemon. Thread-safe; Observe and EndStep are
// meant for the training thread(s) and take a lock that the sender holds only
// to move pointers.
class Client {
 public:
  // Starts the sender thread; never waits for the daemon. Null with `*error`
  // set (one line) if the options are wrong.
  static std::unique_ptr<Client> Start(const Options& options,
                                       std::string* error);
  // As Stop().
  virtual ~Client() = default;

  // Sketches elements [offset, offset + count) of this step's local gradient.
  // `data` is not kept. Chunks may come in any order; a second observation of
  // an offset in one step marks the report `multiple_backward`. Calls whose
  // elements are all zero are counted; give each parameter tensor its own.
  virtual void Observe(uint64_t offset, const void* data, size_t count,
                       DataType type) = 0;
  // As Observe, of memory on a CUDA device as it is in the order of the stream;
  // it may be overwritten by what the stream does later. Waits for nothing: the
  // report of the step is sent once the device has come so far. False if that
  // memory cannot be read (no libmuster_cuda.so, driver too old, another device
  // than the first): observe a copy in host memory instead.
  virtual bool ObserveDevice(uint64_t offset, const void* data, size_t count,
                             DataType type, const DeviceStream& where) = 0;
  // Fingerprints and sketches elements [offset, offset + count) of the
  // parameters, for this step's report. `group`: 0 … 31, whose parameters are
  // fingerprinted together. All ranks must make the same calls; a parameter
  // tensor a call is good.
  virtual void ObserveParameters(uint32_t group, uint64_t offset,
                                 const void* data, size_t count,
                                 DataType type) = 0;
  // Sketches elements of the parameters' change since the ranks last agreed on
  // them, each once (local-update training), for this step's report.
  virtual void ObserveChange(uint64_t offset, const void* data, size_t count,
                             DataType type) = 0;
  // Queues this step's report. A full ring drops the oldest and counts it. A
  // field outside its range is left out; a step beyond 2⁶² makes no report.
  virtual void EndStep(const StepEnd& end) = 0;
  // Forgets what was observed since the last EndStep: for a step that an
  // exception ended, or whose gradient is thrown away. Makes no report.
  virtual void DiscardStep() = 0;
  // Adds or replaces facts, from the next report on. False with `*error` set
  // if one is over its limits; then none is taken.
  virtual bool SetFacts(const Facts& facts, std::string* error) = 0;
  // What fires now for this run; empty when the daemon is unreachable.
  virtual std::vector<Alert> Alerts() const = 0;
  // Changes whenever Alerts() may have changed; cheap enough for every step.
  virtual uint64_t AlertsGeneration() const = 0;
  virtual Stats GetStats() const = 0;
  // Flushes for at most flush_timeout, says Goodbye, ends the thread. Calls
  // after it do nothing. Idempotent.
  virtual void Stop() = 0;
};

// "0.1.0"
const char* Version();

}  // namespace muster

#endif  // MUSTER_CLIENT_H_
