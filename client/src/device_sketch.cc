#include "client/src/device_sketch.h"

#include <dlfcn.h>

#include <cstdlib>
#include <utility>

namespace muster {
namespace {

constexpr char kFileName[] = "libmuster_cuda.so";
// A device that fails in a new way at each step is told of no more.
constexpr int kMaxTellings = 3;

// Where the library is looked for, best first.
std::vector<std::string> Candidates() {
  const char* named = std::getenv("MUSTER_CUDA_LIBRARY");
  if (named != nullptr && *named != '\0') return {named};
  std::vector<std::string> paths;
  // Beside the file that this code is in.
  static const char here = 0;
  Dl_info info;
  if (dladdr(&here, &info) != 0 && info.dli_fname != nullptr) {
    const std::string file = info.dli_fname;
    const size_t slash = file.rfind('/');
    if (slash != std::string::npos) {
      paths.push_back(file.substr(0, slash + 1) + kFileName);
    }
  }
  paths.push_back(kFileName);
  return paths;
}

}  // namespace

struct DeviceSketch::Library {
  decltype(&muster_cuda_abi) abi;
  decltype(&muster_cuda_create) create;
  decltype(&muster_cuda_observe) observe;
  decltype(&muster_cuda_end_step) end_step;
  decltype(&muster_cuda_discard) discard;
  decltype(&muster_cuda_poll) poll;
  decltype(&muster_cuda_failure) failure;
  decltype(&muster_cuda_destroy) destroy;

  // Null with `*why` set if there is none.
  static const Library* Load(std::string* why) {
    void* handle = nullptr;
    for (const std::string& path : Candidates()) {
      handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle != nullptr) break;
      // The first place is the one that is meant.
      if (why->empty()) *why = dlerror();
    }
    if (handle == nullptr) return nullptr;
    auto library = std::make_unique<Library>();
    const auto find = [&](const char* name, auto* function) {
      *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(
          dlsym(handle, name));
      return *function != nullptr;
    };
    if (!find("muster_cuda_abi", &library->abi) ||
        library->abi() != MUSTER_CUDA_ABI ||
        !find("muster_cuda_create", &library->create) ||
        !find("muster_cuda_observe", &library->observe) ||
        !find("muster_cuda_end_step", &library->end_step) ||
        !find("muster_cuda_discard", &library->discard) ||
        !find("muster_cuda_poll", &library->poll) ||
        !find("muster_cuda_failure", &library->failure) ||
        !find("muster_cuda_destroy", &library->destroy)) {
      *why = std::string(kFileName) + " is of another version";
      dlclose(handle);
      return nullptr;
    }
    return library.release();
  }
};

DeviceSketch::~DeviceSketch() {
  if (cuda_ != nullptr) library_->destroy(cuda_);
  delete library_;
}

bool DeviceSketch::Bind(int device) {
  if (cuda_ != nullptr) return device == device_;
  if (sought_) return false;
  sought_ = true;
  std::string why;
  library_ = Library::Load(&why);
  if (library_ == nullptr) {
    Tell("no sketch of device memory: " + why);
    return false;
  }
  device_ = device;
  cuda_ = library_->create(device, spec_.width, spec_.seed);
  return cuda_ != nullptr;
}

DeviceSketch::Observed DeviceSketch::Observe(uint64_t offset, const void* data,
                                             size_t count, DataType type,
                                             const DeviceStream& where) {
  if (!Bind(where.device)) return Observed::kUnavailable;
  const muster_cuda_status status = library_->observe(
      cuda_, where.stream, offset, data, count, static_cast<int>(type));
  if (status == MUSTER_CUDA_OK) return Observed::kQueued;
  TellFailure();
  return status == MUSTER_CUDA_UNAVAILABLE ? Observed::kUnavailable
                                           : Observed::kSkipped;
}

uint64_t DeviceSketch::EndStep(const DeviceNumber* loss,
                               const DeviceNumber* scale) {
  if (loss != nullptr && !Bind(loss->where.device)) loss = nullptr;
  if (scale != nullptr && !Bind(scale->where.device)) scale = nullptr;
  if (cuda_ == nullptr) return 0;
  void* stream = nullptr;
  if (scale != nullptr) stream = scale->where.stream;
  if (loss != nullptr) stream = loss->where.stream;
  const uint64_t ticket = library_->end_step(
      cuda_, stream, loss == nullptr ? nullptr : loss->address,
      static_cast<int>(loss == nullptr ? DeviceNumber::Type::kFloat32
                                       : loss->type),
      scale == nullptr ? nullptr : scale->address);
  if (ticket == 0) TellFailure();
  return ticket;
}

void DeviceSketch::Discard() {
  if (cuda_ != nullptr) library_->discard(cuda_);
}

DeviceSketch::Progress DeviceSketch::Poll(uint64_t ticket, double* values,
                                          muster_cuda_result* result) {
  switch (library_->poll(cuda_, ticket, values, result)) {
    case MUSTER_CUDA_OK:
      return Progress::kReady;
    case MUSTER_CUDA_NOT_READY:
      return Progress::kNotReady;
    default:
      return Progress::kFailed;
  }
}

void DeviceSketch::TellFailure() {
  const char* failure = library_->failure(cuda_);
  if (failure == nullptr || failure == told_) return;
  told_ = failure;
  Tell(std::string("no sketch of device memory for a step or more: ") +
       failure);
}

void DeviceSketch::Tell(const std::string& line) {
  if (++tellings_ > kMaxTellings) return;
  MutexLock lock(news_mutex_);
  news_ = line;
  has_news_ = true;
}

std::string DeviceSketch::TakeNews() {
  if (!has_news_) return "";
  MutexLock lock(news_mutex_);
  has_news_ = false;
  return std::exchange(news_, "");
}

}  // namespace muster
