// The sketch of what lies in the memory of a CUDA device, by libmuster_cuda.so.
#ifndef MUSTER_CLIENT_SRC_DEVICE_SKETCH_H_
#define MUSTER_CLIENT_SRC_DEVICE_SKETCH_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client/cuda/muster_cuda.h"
#include "client/src/mutex.h"
#include "muster/client.h"
#include "muster/sketch.h"

namespace muster {

// Loads the library when it is first given device memory, and is bound to that
// memory's device. No call waits for the device; those of the first observation
// load and allocate. Thread-compatible, but for Poll() and TakeNews(), which
// the sender calls beside the rest; owned by the client.
class DeviceSketch {
 public:
  enum class Observed {
    kQueued,
    kSkipped,      // this step has no gradient
    kUnavailable,  // no library, no driver, another device
  };
  enum class Progress { kReady, kNotReady, kFailed };

  explicit DeviceSketch(const SketchSpec& spec) : spec_(spec) {}
  ~DeviceSketch();
  DeviceSketch(const DeviceSketch&) = delete;
  DeviceSketch& operator=(const DeviceSketch&) = delete;

  Observed Observe(uint64_t offset, const void* data, size_t count,
                   DataType type, const DeviceStream& where);
  // Ends the step. Returns a ticket for Poll(), 0 if there is nothing to come.
  uint64_t EndStep(const DeviceNumber* loss, const DeviceNumber* scale);
  void Discard();

  // The result of a ticket, given once; `values`: room for spec.width numbers.
  Progress Poll(uint64_t ticket, double* values, muster_cuda_result* result);
  // A line worth telling a person, at most once each; else empty.
  std::string TakeNews();

 private:
  struct Library;

  // True if the library is there and bound to `device`.
  bool Bind(int device);
  void TellFailure();
  void Tell(const std::string& line);

  const SketchSpec spec_;
  const Library* library_ = nullptr;  // never unloaded
  bool sought_ = false;
  int device_ = -1;
  std::atomic<muster_cuda*> cuda_ = nullptr;
  const char* told_ = nullptr;  // the library's failure told last
  int tellings_ = 0;

  std::atomic<bool> has_news_ = false;
  Mutex news_mutex_;
  std::string news_ ABSL_GUARDED_BY(news_mutex_);
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_DEVICE_SKETCH_H_
