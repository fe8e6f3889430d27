#include "client/cuda/runtime.h"

#include <cuda_runtime_api.h>

#include "client/cuda/sums.h"

namespace muster::cuda {
namespace {

constexpr uint32_t kThreads = 128;
// Threads that share the hashes of one batch: one for each of its blocks. They
// are in one warp and at one row, since every width has at least 8 items.
constexpr uint32_t kShare = kBatchBlocks;

Failure Check(cudaError_t error) {
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

cudaStream_t Native(Stream stream) { return static_cast<cudaStream_t>(stream); }

// As OwnHashes: each of kShare neighbours computes those of one block.
class SharedHashes {
 public:
  __device__ SharedHashes(const Observation& seen, uint32_t first_lane)
      : seen_(seen),
        first_lane_(first_lane),
        mask_(0xFFu << (threadIdx.x % 32 / kShare * kShare)) {}

  __device__ void Begin(uint64_t block) {
    const uint64_t mine = block + threadIdx.x % kShare;
    permutation_ = LanePermutation(seen_.permutation_key, mine, seen_.width);
    // The neighbours' lanes differ below 64 only, and so share the word.
    const uint64_t group =
        (mine * seen_.width + (first_lane_ ^ permutation_)) / kSignWordBits;
    signs_ = SignWord(seen_.sign_key, group);
  }
  __device__ uint32_t Permutation(uint32_t i) const {
    return __shfl_sync(mask_, permutation_, i, kShare);
  }
  __device__ uint64_t Signs(uint32_t i) const {
    return __shfl_sync(mask_, signs_, i, kShare);
  }

 private:
  const Observation& seen_;
  const uint32_t first_lane_;
  const uint32_t mask_;
  uint32_t permutation_ = 0;
  unsigned long long signs_ = 0;
};
static_assert(kShare == 8 && 32 % kShare == 0);
static_assert(SketchSpec::kMinWidth / 8 % kShare == 0);

template <DataType type, bool aligned>
__global__ void __launch_bounds__(kThreads)
    SumKernel(const __grid_constant__ Observation seen, double* rows) {
  const uint32_t items = seen.width / VectorElements(type);
  const uint32_t index = blockIdx.x * kThreads + threadIdx.x;
  const uint32_t row = index / items;
  if (row >= seen.rows) return;
  const uint32_t item = index % items;
  SumItem<type, aligned>(seen, row, item,
                         SharedHashes(seen, item * VectorElements(type)),
                         rows + uint64_t{row} * RowDoubles(seen.width));
}

__global__ void __launch_bounds__(kThreads)
    ReduceKernel(double* from, uint32_t rows, uint32_t row_doubles, bool clear,
                 double* to) {
  const uint32_t index = blockIdx.x * kThreads + threadIdx.x;
  const uint32_t group = index / row_doubles;
  if (group >= Groups(rows)) return;
  ReduceColumn(from, rows, row_doubles, group, index % row_doubles, clear, to);
}

uint32_t ThreadBlocks(uint64_t threads) {
  return static_cast<uint32_t>((threads + kThreads - 1) / kThreads);
}

using SumFunction = void (*)(const Observation, double*);

template <DataType type>
SumFunction SumOf(bool aligned) {
  return aligned ? SumKernel<type, true> : SumKernel<type, false>;
}

SumFunction SumOf(DataType type, bool aligned) {
  switch (type) {
    case DataType::kFloat32:
      return SumOf<DataType::kFloat32>(aligned);
    case DataType::kFloat16:
      return SumOf<DataType::kFloat16>(aligned);
    case DataType::kBFloat16:
      break;
  }
  return SumOf<DataType::kBFloat16>(aligned);
}

}  // namespace

OnDevice::OnDevice(int device) {
  auto mode = cudaStreamCaptureModeRelaxed;
  if ((failure_ = Check(cudaThreadExchangeStreamCaptureMode(&mode)))) return;
  previous_mode_ = mode;
  int current = -1;
  if ((failure_ = Check(cudaGetDevice(&current)))) return;
  if (current == device) return;
  if ((failure_ = Check(cudaSetDevice(device)))) return;
  previous_device_ = current;
}

OnDevice::~OnDevice() {
  auto mode = static_cast<cudaStreamCaptureMode>(previous_mode_);
  cudaThreadExchangeStreamCaptureMode(&mode);
  if (previous_device_ >= 0) cudaSetDevice(previous_device_);
}

Failure LoadKernels() {
  // A kernel that is loaded at its first launch may wait for the device, and a
  // device that waits for another rank would then wait for ever.
  cudaFuncAttributes attributes;
  for (const DataType type :
       {DataType::kFloat32, DataType::kFloat16, DataType::kBFloat16}) {
    for (const bool aligned : {false, true}) {
      const auto* kernel =
          reinterpret_cast<const void*>(SumOf(type, aligned));
      const Failure failure =
          Check(cudaFuncGetAttributes(&attributes, kernel));
      if (failure != nullptr) return failure;
    }
  }
  return Check(cudaFuncGetAttributes(
      &attributes, reinterpret_cast<const void*>(ReduceKernel)));
}

Failure AllocateDevice(size_t bytes, void** memory) {
  return Check(cudaMalloc(memory, bytes));
}

Failure AllocatePinned(size_t bytes, void** memory) {
  return Check(cudaHostAlloc(memory, bytes, cudaHostAllocPortable));
}

Failure CreateEvent(Event* event) {
  cudaEvent_t created = nullptr;
  const Failure failure =
      Check(cudaEventCreateWithFlags(&created, cudaEventDisableTiming));
  *event = created;
  return failure;
}

Failure IsCapturing(Stream stream, bool* capturing) {
  auto status = cudaStreamCaptureStatusNone;
  const Failure failure =
      Check(cudaStreamIsCapturing(Native(stream), &status));
  *capturing = status != cudaStreamCaptureStatusNone;
  return failure;
}

Failure Clear(void* device_memory, size_t bytes, Stream stream) {
  return Check(cudaMemsetAsync(device_memory, 0, bytes, Native(stream)));
}

Failure CopyToHost(void* pinned, const void* device_memory, size_t bytes,
                   Stream stream) {
  return Check(cudaMemcpyAsync(pinned, device_memory, bytes,
                               cudaMemcpyDeviceToHost, Native(stream)));
}

Failure Record(Event event, Stream stream) {
  return Check(cudaEventRecord(static_cast<cudaEvent_t>(event), Native(stream)));
}

Failure Await(Stream stream, Event event) {
  return Check(cudaStreamWaitEvent(Native(stream), static_cast<cudaEvent_t>(event), 0));
}

Failure IsDone(Event event, bool* done) {
  const cudaError_t error = cudaEventQuery(static_cast<cudaEvent_t>(event));
  *done = error == cudaSuccess;
  return error == cudaErrorNotReady ? nullptr : Check(error);
}

Failure LaunchSums(const Observation& seen, DataType type, double* rows,
                   Stream stream) {
  const uint64_t threads =
      uint64_t{seen.rows} * (seen.width / VectorElements(type));
  Observation argument = seen;
  void* arguments[] = {&argument, &rows};
  return Check(cudaLaunchKernel(
      reinterpret_cast<const void*>(SumOf(type, seen.base % 16 == 0)),
      dim3(ThreadBlocks(threads)), dim3(kThreads), arguments, 0,
      Native(stream)));
}

Failure LaunchReduction(double* from, uint32_t rows, uint32_t row_doubles,
                        bool clear, double* to, Stream stream) {
  void* arguments[] = {&from, &rows, &row_doubles, &clear, &to};
  return Check(cudaLaunchKernel(
      reinterpret_cast<const void*>(ReduceKernel),
      dim3(ThreadBlocks(uint64_t{Groups(rows)} * row_doubles)), dim3(kThreads),
      arguments, 0, Native(stream)));
}

}  // namespace muster::cuda
