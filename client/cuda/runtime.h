// What the library asks of a GPU: allocations, streams, events, two kernels.
// runtime.cu is CUDA; the tests have one whose device is the host.
#ifndef MUSTER_CLIENT_CUDA_RUNTIME_H_
#define MUSTER_CLIENT_CUDA_RUNTIME_H_

#include <cstddef>
#include <cstdint>

#include "client/cuda/partition.h"
#include "muster/sketch.h"

namespace muster::cuda {

// Null: success; else one line that stays valid.
using Failure = const char*;
using Stream = void*;  // cudaStream_t
using Event = void*;   // cudaEvent_t

// While it lives, this thread's calls go to one device, and are allowed though
// another thread captures a graph. All functions below require one.
class OnDevice {
 public:
  explicit OnDevice(int device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  Failure failure() const { return failure_; }

 private:
  Failure failure_ = nullptr;
  // The host in place of a device has none to go back to.
  [[maybe_unused]] int previous_device_ = -1;
  [[maybe_unused]] int previous_mode_ = 0;
};

// May wait, as may the allocations: for the start alone.
Failure LoadKernels();
Failure AllocateDevice(size_t bytes, void** memory);
Failure AllocatePinned(size_t bytes, void** memory);
Failure CreateEvent(Event* event);

// None of these waits.
Failure IsCapturing(Stream stream, bool* capturing);
Failure Clear(void* device_memory, size_t bytes, Stream stream);
Failure CopyToHost(void* pinned, const void* device_memory, size_t bytes,
                   Stream stream);
Failure Record(Event event, Stream stream);
// What follows on `stream` comes after what `event` recorded last.
Failure Await(Stream stream, Event event);
Failure IsDone(Event event, bool* done);

// Runs SumItem (sums.h) for all items of all rows.
Failure LaunchSums(const Observation& seen, DataType type, double* rows,
                   Stream stream);
// Runs ReduceColumn for all columns of all groups of `rows` rows.
Failure LaunchReduction(double* from, uint32_t rows, uint32_t row_doubles,
                        bool clear, double* to, Stream stream);

}  // namespace muster::cuda

#endif  // MUSTER_CLIENT_CUDA_RUNTIME_H_
