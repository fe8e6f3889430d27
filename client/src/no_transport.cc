// Stands in where the build has no gRPC: the daemon is never reached.
#include <condition_variable>
#include <mutex>
#include <utility>

#include "client/src/transport.h"

namespace muster {
namespace {

class NoTransport : public Transport {
 public:
  void Open() override { opening_ = true; }
  void Send(std::string) override {}
  void FinishSending() override {}
  void Close() override { opening_ = false; }

  TransportEvent Wait(std::chrono::steady_clock::time_point deadline) override {
    if (std::exchange(opening_, false)) {
      return {TransportEvent::Kind::kClosed, "this build has no transport"};
    }
    std::unique_lock lock(mutex_);
    if (!wake_.wait_until(lock, deadline, [this] { return woken_; })) return {};
    woken_ = false;
    return {TransportEvent::Kind::kWoken, ""};
  }

  void Wake() override {
    std::lock_guard lock(mutex_);
    woken_ = true;
    wake_.notify_one();
  }

 private:
  bool opening_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
};

}  // namespace

std::unique_ptr<Transport> MakeTransport(const Address&) {
  return std::make_unique<NoTransport>();
}

}  // namespace muster
