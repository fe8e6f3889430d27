// One completion queue, polled by the caller's own thread. Messages pass as
// bytes, so nothing is encoded twice.
#include "client/src/grpc_transport.h"

#include <grpcpp/alarm.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "client/src/grpc_framing.h"

namespace muster {
namespace {

constexpr char kMethod[] = "/muster.v1.Telemetry/Stream";
// The daemon permits a ping every 10 s.
constexpr int kKeepaliveMs = 30000;
constexpr int kKeepaliveTimeoutMs = 10000;

using Event = TransportEvent;

// Contents of `path`, empty if that is. False with *error set if the file
// cannot be read; `variable` named it.
bool ReadFile(const char* variable, const std::string& path, std::string* text,
              std::string* error) {
  if (path.empty()) return true;
  std::ifstream file(path, std::ios::binary);
  text->assign(std::istreambuf_iterator<char>(file), {});
  if (!file.bad() && file.is_open() && !text->empty()) return true;
  *error = std::string(variable) + ": cannot read " + path;
  return false;
}

// Null with `*error` set if a file of certificates cannot be read.
std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(Address::Kind kind,
                                                          const TlsFiles& files,
                                                          std::string* error) {
  if (kind != Address::Kind::kTls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  if (!ReadFile("MUSTER_CA_FILE", files.ca, &options.pem_root_certs, error) ||
      !ReadFile("MUSTER_CERT_FILE", files.certificate, &options.pem_cert_chain,
                error) ||
      !ReadFile("MUSTER_KEY_FILE", files.key, &options.pem_private_key,
                error)) {
    return nullptr;
  }
  return grpc::SslCredentials(options);
}

grpc::ChannelArguments MakeArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // A new channel must not inherit an old one's reconnect delay.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A proxy set for the training job's downloads is not the way to the daemon.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  return arguments;
}

gpr_timespec Until(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
      deadline - std::chrono::steady_clock::now());
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(left.count(), GPR_TIMESPAN));
}

class GrpcTransport : public Transport {
 public:
  GrpcTransport(const Address& address, const TlsFiles& files)
      : address_(address), files_(files) {}

  ~GrpcTransport() override {
    Close();
    alarm_.Cancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  void Open() override {
    open_error_.clear();
    const auto credentials =
        MakeCredentials(address_.kind, files_, &open_error_);
    if (credentials == nullptr) return;
    const bool is_unix = address_.kind == Address::Kind::kUnix;
    const std::string target =
        (is_unix ? "unix:" : "dns:///") + address_.target;
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(target, credentials, MakeArguments()));
    context_ = std::make_unique<grpc::ClientContext>();
    finishing_ = false;
    stream_ = stub_->PrepareCall(context_.get(), kMethod, &queue_);
    stream_->StartCall(Begin(kStart));
  }

  void Send(std::string message) override {
    const grpc::Slice slice(message);
    stream_->Write(grpc::ByteBuffer(&slice, 1), Begin(kWrite));
  }

  void FinishSending() override { stream_->WritesDone(Begin(kWritesDone)); }

  Event Wait(std::chrono::steady_clock::time_point deadline) override {
    if (!open_error_.empty()) {
      return {Event::Kind::kClosed, std::exchange(open_error_, "")};
    }
    if (std::exchange(woken_, false)) return {Event::Kind::kWoken, ""};
    while (true) {
      void* tag = nullptr;
      bool ok = false;
      if (queue_.AsyncNext(&tag, &ok, Until(deadline)) !=
          grpc::CompletionQueue::GOT_EVENT) {
        return {};
      }
      const std::optional<Event> event = Handle(tag, ok);
      if (!event) continue;
      if (event->kind == Event::Kind::kClosed) Close();
      return *event;
    }
  }

  void Close() override {
    open_error_.clear();
    if (stream_ == nullptr) return;
    context_->TryCancel();
    // Cancelled operations complete at once; the stream must outlive them.
    while (pending_ > 0) {
      void* tag = nullptr;
      bool ok = false;
      if (!queue_.Next(&tag, &ok)) break;
      const std::optional<Event> event = Handle(tag, ok);
      if (event && event->kind == Event::Kind::kWoken) woken_ = true;
    }
    stream_.reset();
    context_.reset();
    stub_.reset();
  }

  void Wake() override {
    if (wake_set_.exchange(true)) return;
    alarm_.Set(&queue_, gpr_inf_past(GPR_CLOCK_MONOTONIC), ToTag(kWake));
  }

 private:
  enum Operation : intptr_t {
    kStart = 1,
    kRead,
    kWrite,
    kWritesDone,
    kFinish,
    kWake
  };

  static void* ToTag(Operation operation) {
    return reinterpret_cast<void*>(static_cast<intptr_t>(operation));
  }

  void* Begin(Operation operation) {
    ++pending_;
    return ToTag(operation);
  }

  void Finish() {
    if (std::exchange(finishing_, true)) return;
    stream_->Finish(&status_, Begin(kFinish));
  }

  // The event that a completed operation amounts to, if any.
  std::optional<Event> Handle(void* tag, bool ok) {
    const auto operation =
        static_cast<Operation>(reinterpret_cast<intptr_t>(tag));
    if (operation == kWake) {
      wake_set_ = false;
      return Event{Event::Kind::kWoken, ""};
    }
    --pending_;
    switch (operation) {
      case kStart:
        if (!ok) {
          Finish();
          return std::nullopt;
        }
        stream_->Read(&incoming_, Begin(kRead));
        return Event{Event::Kind::kOpened, ""};
      case kRead: {
        if (!ok) {
          Finish();
          return std::nullopt;
        }
        Event event{Event::Kind::kMessage, Text(incoming_)};
        stream_->Read(&incoming_, Begin(kRead));
        return event;
      }
      case kWrite:
        // A failed write is followed by a failed read, which ends the stream.
        if (!ok) return std::nullopt;
        return Event{Event::Kind::kSent, ""};
      case kFinish: {
        Event event{Event::Kind::kClosed, "stream ended"};
        if (!status_.ok()) event.text = OneLine(status_.error_message());
        return event;
      }
      default:
        return std::nullopt;
    }
  }

  static std::string Text(const grpc::ByteBuffer& buffer) {
    std::string text;
    std::vector<grpc::Slice> slices;
    if (!buffer.Dump(&slices).ok()) return text;
    for (const grpc::Slice& slice : slices) {
      text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
    return text;
  }

  const Address address_;
  const TlsFiles files_;
  grpc::CompletionQueue queue_;
  grpc::Alarm alarm_;
  std::atomic<bool> wake_set_ = false;

  bool woken_ = false;  // seen while a stream was given up, to be told
  std::string open_error_;
  std::unique_ptr<grpc::GenericStub> stub_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer incoming_;
  grpc::Status status_;
  int pending_ = 0;  // operations of the stream that have not completed
  bool finishing_ = false;
};

}  // namespace

std::unique_ptr<Transport> MakeGrpcTransport(const Address& address,
                                             const TlsFiles& files) {
  return std::make_unique<GrpcTransport>(address, files);
}

}  // namespace muster
