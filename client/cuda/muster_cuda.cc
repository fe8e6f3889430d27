#include "client/cuda/muster_cuda.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>
#include <numeric>

#include "client/cuda/partition.h"
#include "client/cuda/runtime.h"
#include "client/src/half.h"
#include "muster/sketch.h"

using muster::DataType;
using muster::SketchSpec;
using muster::cuda::Event;
using muster::cuda::Failure;
using muster::cuda::OnDevice;
using muster::cuda::Stream;

namespace {

// A result on its way. `state` is ticket · 4 + one of these.
enum : uint64_t { kFree = 0, kFlying = 1, kReading = 2 };

struct Slot {
  std::atomic<uint64_t> state = kFree;
  Event done = nullptr;
  double* row = nullptr;   // pinned: a row of sums, the loss, the scale
  bool has_sums = false;   // written before kFlying
  int loss_type = -1;      // likewise; −1: none
  bool has_scale = false;  // likewise
};

size_t ElementBytes(int type) {
  return type == MUSTER_CUDA_FLOAT64 ? 8 : type == MUSTER_CUDA_FLOAT32 ? 4 : 2;
}

double ReadNumber(const void* memory, int type) {
  uint64_t bits = 0;
  std::memcpy(&bits, memory, ElementBytes(type));
  const auto half = static_cast<uint16_t>(bits);
  switch (type) {
    case MUSTER_CUDA_FLOAT64:
      return std::bit_cast<double>(bits);
    case MUSTER_CUDA_FLOAT32:
      return std::bit_cast<float>(static_cast<uint32_t>(bits));
    case MUSTER_CUDA_FLOAT16:
      return muster::HalfBitsToFloat(half);
    default:
      return muster::BFloat16BitsToFloat(half);
  }
}

}  // namespace

// Thread-compatible but for Poll(), which may run beside the rest.
struct muster_cuda {
  muster_cuda(int device, const SketchSpec& spec)
      : device(device),
        row_doubles(muster::cuda::RowDoubles(spec.width)),
        spec(spec) {}

  muster_cuda_status Observe(Stream stream, uint64_t offset, const void* data,
                             uint64_t count, DataType type);
  uint64_t EndStep(Stream stream, const void* loss, int loss_type,
                   const void* scale);
  void Discard();
  muster_cuda_status Poll(uint64_t ticket, double* values,
                          muster_cuda_result* result);

  // True on success; else `failure` says what went wrong.
  bool Try(Failure now) {
    if (now != nullptr) failure = now;
    return now == nullptr;
  }
  // All below require an OnDevice.
  bool Prepare();
  bool AllocateAll();
  // Orders `stream` after all that was queued before.
  bool Follow(Stream stream);
  bool Reduce(Stream stream);
  // A slot whose result has come, or been given up; null if there is none.
  Slot* FreeSlot();

  const int device;
  const uint32_t row_doubles;
  SketchSpec spec;
  muster_cuda* next_idle = nullptr;
  std::atomic<Failure> failure = nullptr;

  // Set by the first observation.
  bool unusable = false;
  double* rows = nullptr;
  double* groups = nullptr;  // of all passes but the last
  double* result = nullptr;  // one row
  Slot slots[MUSTER_CUDA_SLOTS];
  Event latest = nullptr;  // recorded after all that was queued
  Stream latest_stream = nullptr;
  bool recorded = false;

  // Of the step in progress.
  uint32_t used_rows = 0;
  bool skipped = false;
  bool dirty = true;  // the rows are not all 0

  uint64_t tickets = 0;
};

bool muster_cuda::AllocateAll() {
  const size_t row_bytes = row_doubles * sizeof(double);
  const uint32_t max_rows = muster::cuda::MaxRows(spec.width);
  uint32_t group_rows = 0;
  for (uint32_t left = max_rows; left > 1;) {
    left = muster::cuda::Groups(left);
    group_rows += left;
  }
  void* device_memory = nullptr;
  void* pinned = nullptr;
  const size_t slot_bytes = row_bytes + 2 * sizeof(double);
  if (!Try(muster::cuda::LoadKernels()) ||
      !Try(muster::cuda::AllocateDevice((max_rows + group_rows + 1) * row_bytes,
                                        &device_memory)) ||
      !Try(muster::cuda::AllocatePinned(MUSTER_CUDA_SLOTS * slot_bytes,
                                        &pinned)) ||
      !Try(muster::cuda::CreateEvent(&latest))) {
    return false;
  }
  rows = static_cast<double*>(device_memory);
  groups = rows + size_t{max_rows} * row_doubles;
  result = groups + size_t{group_rows} * row_doubles;
  for (Slot& slot : slots) {
    slot.row = static_cast<double*>(pinned);
    pinned = static_cast<char*>(pinned) + slot_bytes;
    if (!Try(muster::cuda::CreateEvent(&slot.done))) return false;
  }
  return true;
}

bool muster_cuda::Prepare() {
  // What has been allocated when one of many fails stays with the process.
  if (rows == nullptr && !unusable && !AllocateAll()) {
    unusable = true;
    rows = nullptr;
  }
  return !unusable;
}

bool muster_cuda::Follow(Stream stream) {
  if (!recorded || stream == latest_stream) return true;
  return Try(muster::cuda::Await(stream, latest));
}

muster_cuda_status muster_cuda::Observe(Stream stream, uint64_t offset,
                                        const void* data, uint64_t count,
                                        DataType type) {
  if (unusable) return MUSTER_CUDA_UNAVAILABLE;
  const OnDevice scope(device);
  if (!Try(scope.failure())) {
    unusable = rows == nullptr;
    skipped = true;
    return unusable ? MUSTER_CUDA_UNAVAILABLE : MUSTER_CUDA_SKIPPED;
  }
  // A graph would add the same sums at each replay, and end no step.
  bool capturing = false;
  if (!Try(muster::cuda::IsCapturing(stream, &capturing)) || capturing) {
    if (capturing) failure = "the stream is being captured into a graph";
    skipped = true;
    return MUSTER_CUDA_SKIPPED;
  }
  if (!Prepare()) return MUSTER_CUDA_UNAVAILABLE;
  const muster::cuda::Observation seen =
      muster::cuda::MakeObservation(offset, data, count, type, spec);
  const size_t all_bytes =
      size_t{muster::cuda::MaxRows(spec.width)} * row_doubles * sizeof(double);
  if (!Follow(stream) ||
      (dirty && !Try(muster::cuda::Clear(rows, all_bytes, stream))) ||
      !Try(muster::cuda::LaunchSums(seen, type, rows, stream)) ||
      !Try(muster::cuda::Record(latest, stream))) {
    skipped = true;
    return MUSTER_CUDA_SKIPPED;
  }
  latest_stream = stream;
  recorded = true;
  dirty = false;
  used_rows = std::max(used_rows, seen.rows);
  return MUSTER_CUDA_OK;
}

bool muster_cuda::Reduce(Stream stream) {
  double* from = rows;
  double* to = groups;
  uint32_t left = used_rows;
  while (true) {
    const uint32_t groups_left = muster::cuda::Groups(left);
    if (groups_left == 1) to = result;
    if (!Try(muster::cuda::LaunchReduction(from, left, row_doubles,
                                           from == rows, to, stream))) {
      return false;
    }
    if (groups_left == 1) return true;
    from = to;
    to += size_t{groups_left} * row_doubles;
    left = groups_left;
  }
}

Slot* muster_cuda::FreeSlot() {
  Slot& slot = slots[(tickets + 1) % MUSTER_CUDA_SLOTS];
  uint64_t state = slot.state;
  if (state % 4 == kReading) return nullptr;
  if (state % 4 == kFlying) {
    bool done = false;
    if (!Try(muster::cuda::IsDone(slot.done, &done)) || !done) return nullptr;
    // Nobody has asked for it so long that nobody will, unless the sender has
    // begun to read it this moment.
    if (!slot.state.compare_exchange_strong(state, kFree) &&
        state % 4 != kFree) {
      return nullptr;
    }
  }
  return &slot;
}

uint64_t muster_cuda::EndStep(Stream stream, const void* loss, int loss_type,
                              const void* scale) {
  const bool has_sums = used_rows > 0 && !skipped;
  if (loss == nullptr && scale == nullptr) stream = latest_stream;
  if (unusable || (!has_sums && loss == nullptr)) {
    Discard();
    return 0;
  }
  const OnDevice scope(device);
  bool capturing = false;
  if (!Try(scope.failure()) ||
      !Try(muster::cuda::IsCapturing(stream, &capturing)) || capturing ||
      !Prepare()) {
    if (capturing) failure = "the stream is being captured into a graph";
    Discard();
    return 0;
  }
  Slot* slot = FreeSlot();
  if (slot == nullptr) {
    failure = "the device is more steps behind than results are kept for";
    Discard();
    return 0;
  }
  const size_t row_bytes = row_doubles * sizeof(double);
  const bool queued =
      Follow(stream) &&
      (!has_sums ||
       (Reduce(stream) &&
        Try(muster::cuda::CopyToHost(slot->row, result, row_bytes, stream)))) &&
      (loss == nullptr ||
       Try(muster::cuda::CopyToHost(slot->row + row_doubles, loss,
                                    ElementBytes(loss_type), stream))) &&
      (scale == nullptr ||
       Try(muster::cuda::CopyToHost(slot->row + row_doubles + 1, scale,
                                    sizeof(float), stream))) &&
      Try(muster::cuda::Record(latest, stream)) &&
      Try(muster::cuda::Record(slot->done, stream));
  if (!queued) {
    Discard();
    return 0;
  }
  latest_stream = stream;
  recorded = true;
  slot->has_sums = has_sums;
  slot->loss_type = loss == nullptr ? -1 : loss_type;
  slot->has_scale = scale != nullptr;
  slot->state = ++tickets * 4 + kFlying;
  // Reduce() has cleared what it read.
  if (has_sums) used_rows = 0;
  Discard();
  return tickets;
}

void muster_cuda::Discard() {
  dirty = dirty || used_rows > 0;
  used_rows = 0;
  skipped = false;
}

muster_cuda_status muster_cuda::Poll(uint64_t ticket, double* values,
                                     muster_cuda_result* to) {
  Slot& slot = slots[ticket % MUSTER_CUDA_SLOTS];
  uint64_t state = ticket * 4 + kFlying;
  if (ticket == 0 || slot.state != state) return MUSTER_CUDA_FAILED;
  const OnDevice scope(device);
  bool done = false;
  if (!Try(scope.failure()) || !Try(muster::cuda::IsDone(slot.done, &done))) {
    slot.state.compare_exchange_strong(state, kFree);
    return MUSTER_CUDA_FAILED;
  }
  if (!done) return MUSTER_CUDA_NOT_READY;
  if (!slot.state.compare_exchange_strong(state, ticket * 4 + kReading)) {
    return MUSTER_CUDA_FAILED;
  }
  *to = {};
  if (slot.has_sums) {
    const double* squares = slot.row + spec.width;
    const double* counts = squares + spec.width / 4;
    std::copy_n(slot.row, spec.width, values);
    to->has_sums = 1;
    to->squared_norm = std::accumulate(squares, counts, 0.0);
    to->nonfinite_count = static_cast<uint64_t>(
        std::accumulate(counts, counts + spec.width / 4, 0.0));
  }
  if (slot.loss_type >= 0) {
    to->has_loss = 1;
    to->loss = ReadNumber(slot.row + row_doubles, slot.loss_type);
  }
  if (slot.has_scale) {
    to->has_scale = 1;
    to->scale = ReadNumber(slot.row + row_doubles + 1, MUSTER_CUDA_FLOAT32);
  }
  slot.state = kFree;
  return MUSTER_CUDA_OK;
}

namespace {

// Those that were destroyed, with their memory. Constant-initialised, never
// destroyed.
std::mutex idle_mutex;
muster_cuda* idle = nullptr;

bool IsLossType(int type) {
  return type >= MUSTER_CUDA_FLOAT32 && type <= MUSTER_CUDA_FLOAT64;
}

}  // namespace

uint32_t muster_cuda_abi(void) { return MUSTER_CUDA_ABI; }

muster_cuda* muster_cuda_create(int device, uint32_t width, uint64_t seed) {
  const SketchSpec spec{.width = width, .seed = seed};
  {
    const std::lock_guard lock(idle_mutex);
    for (muster_cuda** place = &idle; *place != nullptr;
         place = &(*place)->next_idle) {
      muster_cuda* found = *place;
      if (found->device != device || found->spec.width != width) continue;
      *place = found->next_idle;
      found->spec = spec;
      found->failure = nullptr;
      return found;
    }
  }
  return new (std::nothrow) muster_cuda(device, spec);
}

muster_cuda_status muster_cuda_observe(muster_cuda* cuda, void* stream,
                                       uint64_t offset, const void* data,
                                       uint64_t count, int type) {
  if (count == 0) return MUSTER_CUDA_OK;
  if (count > muster::cuda::kMaxElements || count > UINT64_MAX - offset ||
      type < MUSTER_CUDA_FLOAT32 || type > MUSTER_CUDA_BFLOAT16) {
    return MUSTER_CUDA_UNAVAILABLE;
  }
  return cuda->Observe(stream, offset, data, count,
                       static_cast<DataType>(type));
}

uint64_t muster_cuda_end_step(muster_cuda* cuda, void* stream, const void* loss,
                              int loss_type, const void* scale) {
  return cuda->EndStep(stream, IsLossType(loss_type) ? loss : nullptr,
                       loss_type, scale);
}

void muster_cuda_discard(muster_cuda* cuda) { cuda->Discard(); }

muster_cuda_status muster_cuda_poll(muster_cuda* cuda, uint64_t ticket,
                                    double* values,
                                    muster_cuda_result* result) {
  return cuda->Poll(ticket, values, result);
}

const char* muster_cuda_failure(muster_cuda* cuda) { return cuda->failure; }

void muster_cuda_destroy(muster_cuda* cuda) {
  cuda->Discard();
  if (cuda->rows == nullptr) {
    delete cuda;
    return;
  }
  const std::lock_guard lock(idle_mutex);
  cuda->next_idle = idle;
  idle = cuda;
}
