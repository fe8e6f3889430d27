// A CUDA runtime whose device is the host: its memory is the host's, and what
// is queued on a stream runs at once, or, where a test delays it, when an event
// has been asked for often enough.
// Together with client/cuda/muster_cuda.cc it makes a libmuster_cuda.so that
// the real client loads where there is no GPU.
#include "tests/testing/fake_cuda_runtime.h"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "client/cuda/runtime.h"
#include "client/cuda/sums.h"

namespace muster::cuda {
namespace {

struct FakeEvent {
  bool done = true;
};

// Everything is queued in one order, which is one that streams allow.
struct Device {
  std::mutex mutex;
  std::deque<std::function<void()>> queue;
  std::unordered_map<Stream, bool> capturing;
  int64_t delayed_queries = 0;  // < 0: nothing ever runs
  const char* failure = nullptr;
  uint64_t sums = 0;
  uint64_t allocations = 0;
};

Device& device() {
  static Device* const device = new Device;
  return *device;
}

thread_local int t_on_device = 0;

void RunAllQueued() {
  for (; !device().queue.empty(); device().queue.pop_front()) {
    device().queue.front()();
  }
}

Failure Queue(std::function<void()> work) {
  const std::lock_guard lock(device().mutex);
  if (t_on_device == 0) return "no device is selected";
  if (device().failure != nullptr) return device().failure;
  device().queue.push_back(std::move(work));
  if (device().delayed_queries == 0) RunAllQueued();
  return nullptr;
}

template <DataType type>
void RunSums(const Observation& seen, double* rows) {
  const uint32_t items = seen.width / VectorElements(type);
  for (uint32_t row = 0; row < seen.rows; ++row) {
    double* sums = rows + size_t{row} * RowDoubles(seen.width);
    for (uint32_t item = 0; item < items; ++item) {
      const OwnHashes hashes(seen, item * VectorElements(type));
      if (seen.base % 16 == 0) {
        SumItem<type, true>(seen, row, item, hashes, sums);
      } else {
        SumItem<type, false>(seen, row, item, hashes, sums);
      }
    }
  }
}

}  // namespace

OnDevice::OnDevice(int) { ++t_on_device; }
OnDevice::~OnDevice() { --t_on_device; }

Failure LoadKernels() { return device().failure; }

Failure AllocateDevice(size_t bytes, void** memory) {
  const std::lock_guard lock(device().mutex);
  ++device().allocations;
  *memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  // What a device leaves in new memory is not 0.
  std::memset(*memory, 0x55, bytes);
  return nullptr;
}

Failure AllocatePinned(size_t bytes, void** memory) {
  return AllocateDevice(bytes, memory);
}

Failure CreateEvent(Event* event) {
  *event = new FakeEvent;
  return nullptr;
}

Failure IsCapturing(Stream stream, bool* capturing) {
  const std::lock_guard lock(device().mutex);
  *capturing = device().capturing[stream];
  return nullptr;
}

Failure Clear(void* memory, size_t bytes, Stream) {
  return Queue([=] { std::memset(memory, 0, bytes); });
}

Failure CopyToHost(void* pinned, const void* memory, size_t bytes, Stream) {
  return Queue([=] { std::memcpy(pinned, memory, bytes); });
}

Failure Record(Event event, Stream) {
  auto* fake = static_cast<FakeEvent*>(event);
  {
    const std::lock_guard lock(device().mutex);
    fake->done = false;
  }
  return Queue([=] { fake->done = true; });
}

Failure Await(Stream, Event) { return nullptr; }

Failure IsDone(Event event, bool* done) {
  Device& fake = device();
  const std::lock_guard lock(fake.mutex);
  if (t_on_device == 0) return "no device is selected";
  if (fake.failure != nullptr) return fake.failure;
  if (fake.delayed_queries > 0) --fake.delayed_queries;
  if (fake.delayed_queries == 0) RunAllQueued();
  *done = static_cast<FakeEvent*>(event)->done;
  return nullptr;
}

Failure LaunchSums(const Observation& seen, DataType type, double* rows,
                   Stream) {
  {
    const std::lock_guard lock(device().mutex);
    ++device().sums;
  }
  return Queue([=] {
    switch (type) {
      case DataType::kFloat32:
        return RunSums<DataType::kFloat32>(seen, rows);
      case DataType::kFloat16:
        return RunSums<DataType::kFloat16>(seen, rows);
      case DataType::kBFloat16:
        return RunSums<DataType::kBFloat16>(seen, rows);
    }
  });
}

Failure LaunchReduction(double* from, uint32_t rows, uint32_t row_doubles,
                        bool clear, double* to, Stream) {
  return Queue([=] {
    for (uint32_t group = 0; group < Groups(rows); ++group) {
      for (uint32_t column = 0; column < row_doubles; ++column) {
        ReduceColumn(from, rows, row_doubles, group, column, clear, to);
      }
    }
  });
}

}  // namespace muster::cuda

using muster::cuda::device;

void muster_cuda_fake_delay(int64_t queries) {
  const std::lock_guard lock(device().mutex);
  device().delayed_queries = queries;
}

void muster_cuda_fake_fail(const char* failure) {
  const std::lock_guard lock(device().mutex);
  device().failure = failure;
}

void muster_cuda_fake_capture(void* stream, int capturing) {
  const std::lock_guard lock(device().mutex);
  device().capturing[stream] = capturing != 0;
}

uint64_t muster_cuda_fake_sums(void) {
  const std::lock_guard lock(device().mutex);
  return device().sums;
}

uint64_t muster_cuda_fake_allocations(void) {
  const std::lock_guard lock(device().mutex);
  return device().allocations;
}
