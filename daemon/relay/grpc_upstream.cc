#include "daemon/relay/grpc_upstream.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "daemon/base/mutex.h"
#include "daemon/identity/channel.h"
#include "daemon/ingest/metadata.h"
#include "daemon/relay/channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/support/proto_buffer_reader.h"

namespace muster::relay {
namespace {

using GenericStub =
    grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer>;

constexpr char kMethod[] = "/muster.v1.Telemetry/Stream";

// How many calls gRPC still knows of.
class Calls {
 public:
  void Begin() {
    MutexLock lock(mutex_);
    ++open_;
  }
  void End() {
    // Notifies under the lock: who waits destroys this.
    MutexLock lock(mutex_);
    if (--open_ == 0) none_.notify_all();
  }
  void Wait() {
    MutexLock lock(mutex_);
    while (open_ > 0) none_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar none_;
  int open_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One call, shared by its owner and, until OnDone, by gRPC.
class Call : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
             public std::enable_shared_from_this<Call> {
 public:
  Call(StreamEvents events, Calls& calls)
      : events_(std::move(events)), calls_(calls) {}

  void Start(GenericStub& stub, const std::vector<std::string>& via,
             const identity::ChannelFiles& files) {
    calls_.Begin();
    self_ = shared_from_this();
    for (const std::string& id : via) context_.AddMetadata(ingest::kViaKey, id);
    context_.AddMetadata(ingest::kProtocolKey, absl::StrCat(ingest::kProtocol));
    // A token that cannot be read now is missed by upstream, which says so.
    (void)identity::AddToken(files, context_);
    stub.PrepareBidiStreamingCall(&context_, kMethod, {}, this);
    // As long as its owner may start something, gRPC must not end the call.
    AddHold();
    StartRead(&incoming_);
    StartCall();
  }

  void Write(const std::string& message) {
    const grpc::Slice slice(message);
    outgoing_ = grpc::ByteBuffer(&slice, 1);
    // Under the lock: nothing may be started once the hold is gone.
    MutexLock lock(mutex_);
    if (held_) StartWrite(&outgoing_);
  }
  void FinishSending() {
    MutexLock lock(mutex_);
    if (held_) StartWritesDone();
  }
  void GiveUp() {
    context_.TryCancel();
    Release();
  }

  void OnReadInitialMetadataDone(bool ok) override {
    if (!ok) return;
    const auto& metadata = context_.GetServerInitialMetadata();
    const auto found = metadata.find(ingest::kProtocolKey);
    if (found == metadata.end()) return;
    const std::string spoken(found->second.data(), found->second.size());
    if (spoken == absl::StrCat(ingest::kProtocol)) return;
    Foreign(spoken);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Release();
      return;
    }
    v1::ServerMessage message;
    grpc::ProtoBufferReader bytes(&incoming_);
    if (bytes.status().ok() && message.ParseFromZeroCopyStream(&bytes)) {
      events_.message(std::move(message));
    }
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    if (ok) events_.written();
  }

  void OnDone(const grpc::Status& status) override {
    StreamEnd end;
    {
      MutexLock lock(mutex_);
      end.state = state_;
      end.why = why_;
    }
    end.done = status.ok() && end.why.empty();
    if (!end.done && end.why.empty()) {
      end.why = absl::StrCat(status.error_message(), " (gRPC status ",
                             static_cast<int>(status.error_code()), ")");
      if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) {
        const bool loop = status.error_message().starts_with("relay loop");
        end.state = loop ? UpstreamState::kLoop : UpstreamState::kIncompatible;
      }
    }
    events_.closed(std::move(end));
    Calls& calls = calls_;
    self_ = nullptr;  // may delete this
    calls.End();
  }

 private:
  // Lets OnDone come.
  void Release() {
    {
      MutexLock lock(mutex_);
      if (!std::exchange(held_, false)) return;
    }
    RemoveHold();
  }

  void Foreign(const std::string& spoken) {
    {
      MutexLock lock(mutex_);
      state_ = UpstreamState::kIncompatible;
      why_ = absl::StrCat("upstream speaks version ", absl::CHexEscape(spoken),
                          " of the protocol, this relay version ",
                          ingest::kProtocol);
    }
    context_.TryCancel();
  }

  const StreamEvents events_;
  Calls& calls_;
  std::shared_ptr<Call> self_;
  grpc::ClientContext context_;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
  Mutex mutex_;
  bool held_ ABSL_GUARDED_BY(mutex_) = true;
  UpstreamState state_ ABSL_GUARDED_BY(mutex_) = UpstreamState::kAway;
  std::string why_ ABSL_GUARDED_BY(mutex_);
};

class GrpcStream : public UpstreamStream {
 public:
  explicit GrpcStream(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  ~GrpcStream() override { call_->GiveUp(); }
  void Write(std::string message) override { call_->Write(std::move(message)); }
  void FinishSending() override { call_->FinishSending(); }

 private:
  const std::shared_ptr<Call> call_;
};

class GrpcUpstream : public Upstream {
 public:
  GrpcUpstream(const Options& options, std::shared_ptr<grpc::Channel> channel)
      : options_(options),
        stub_(std::make_unique<GenericStub>(std::move(channel))),
        written_(LastWritten()) {}
  ~GrpcUpstream() override { calls_.Wait(); }

  std::unique_ptr<UpstreamStream> Open(const std::vector<std::string>& via,
                                       StreamEvents events) override {
    auto call = std::make_shared<Call>(std::move(events), calls_);
    if (const auto written = LastWritten(); written != written_) {
      // What cannot be used now may be half written: the old stays until then.
      if (auto channel = MakeChannel(options_); channel.ok()) {
        stub_ = std::make_unique<GenericStub>(*std::move(channel));
        written_ = written;
      }
    }
    call->Start(*stub_, via, options_.files);
    return std::make_unique<GrpcStream>(std::move(call));
  }

 private:
  // When the files of TLS were written, as far as that can be told.
  std::vector<std::filesystem::file_time_type> LastWritten() const {
    std::vector<std::filesystem::file_time_type> times;
    const identity::ChannelFiles& files = options_.files;
    for (const std::string* path :
         {&files.ca, &files.certificate, &files.key}) {
      std::error_code error;
      times.push_back(std::filesystem::last_write_time(*path, error));
    }
    return times;
  }

  const Options options_;
  Calls calls_;
  // Of the relay's thread, which opens streams. A channel lives as long as its
  // calls.
  std::unique_ptr<GenericStub> stub_;
  std::vector<std::filesystem::file_time_type> written_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Upstream>> MakeGrpcUpstream(
    const Options& options) {
  auto channel = MakeChannel(options);
  if (!channel.ok()) return channel.status();
  return std::make_unique<GrpcUpstream>(options, *std::move(channel));
}

}  // namespace muster::relay
