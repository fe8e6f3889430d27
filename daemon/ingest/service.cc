#include "daemon/ingest/service.h"

#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "daemon/base/mutex.h"
#include "daemon/identity/grpc_server.h"
#include "daemon/ingest/admission.h"
#include "daemon/ingest/metadata.h"
#include "daemon/ingest/outbox.h"
#include "daemon/ingest/peer_limit.h"
#include "daemon/ingest/refusal_limit.h"
#include "daemon/ingest/session.h"
#include "google/protobuf/arena.h"
#include "grpcpp/alarm.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/support/proto_buffer_reader.h"
#include "muster/v1/telemetry.grpc.pb.h"

namespace muster::ingest {
namespace {

constexpr char kTooManyStreams[] = "too_many_streams";
constexpr char kTooManyRefusals[] = "too_many_refusals";

// How long a stream that ends for too many refusals is kept unread first: a
// sender who comes back at once costs us more than one who waits.
constexpr std::chrono::seconds kUnread{5};

// What all streams of the service share.
struct Shared {
  const Limits limits;
  Sink& sink;
  runs::DaemonCounters& counters;
  const std::function<absl::Duration()> now;
  PeerLimit peers;
  RefusalLimit refusals;
};

// One stream, as bytes, so that what is no message can be counted. gRPC calls
// the On… methods; it deletes itself in OnDone, which comes after Finish and
// all that was started. Finish is called once: by the reader when it closes the
// outbox, or by the writer that had the turn then.
class Stream
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // `place` is given back when the stream has ended.
  Stream(Shared& shared, Caller caller, Admission admission, std::string sender,
         std::unique_ptr<PeerLimit::Place> place)
      : place_(std::move(place)),
        sender_(std::move(sender)),
        reader_(std::make_shared<Reader>(this)),
        outbox_(std::make_shared<Outbox>([this] { WriteNext(); },
                                         shared.limits.max_sources_per_stream)),
        shared_(shared),
        session_(shared.limits, shared.sink, shared.counters, outbox_,
                 std::move(caller), std::move(admission)) {
    StartSendInitialMetadata();
    StartRead(&incoming_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      End();
      return;
    }
    auto& message =
        *google::protobuf::Arena::CreateMessage<v1::ClientMessage>(&arena_);
    grpc::ProtoBufferReader bytes(&incoming_);
    if (!bytes.status().ok() || !message.ParseFromZeroCopyStream(&bytes)) {
      shared_.counters.CountRejected(ReasonLabel(v1::MALFORMED));
      status_ = grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                             "not a muster.v1.ClientMessage");
      End();
      return;
    }
    const std::shared_ptr<SourceSink> full = session_.Take(message);
    arena_.Reset();
    if (session_.refused() &&
        !shared_.refusals.Charge(sender_, incoming_.Length(), shared_.now())) {
      EndLater();
      return;
    }
    if (full == nullptr) {
      StartRead(&incoming_);
      return;
    }
    reader_->Pause();
    full->NotifyWhenDrained([reader = reader_] { reader->Resume(); });
  }

  void OnWriteDone(bool ok) override { WriteNext(); }

  void OnCancel() override {
    // With a read under way, OnReadDone(false) follows.
    if (reader_->CloseIfPaused()) End();
  }

  void OnDone() override { delete this; }

 private:
  // Outlives the stream in the callbacks of full runs.
  class Reader {
   public:
    explicit Reader(Stream* stream) : stream_(stream) {}

    void Pause() {
      MutexLock lock(mutex_);
      paused_ = true;
    }
    void Resume() {
      {
        MutexLock lock(mutex_);
        if (closed_) return;
        paused_ = false;
      }
      // Alive: while not paused, only OnReadDone ends the stream.
      stream_->StartRead(&stream_->incoming_);
    }
    bool CloseIfPaused() {
      MutexLock lock(mutex_);
      if (!paused_ || closed_) return false;
      closed_ = true;
      return true;
    }
    void EndIfPaused() {
      // Alive: while paused, only who closes it ends the stream.
      if (CloseIfPaused()) stream_->End();
    }

   private:
    Stream* const stream_;
    Mutex mutex_;
    bool paused_ ABSL_GUARDED_BY(mutex_) = false;
    bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  };

  // Its ranks, if it has any, are away from now on.
  void EndLater() {
    shared_.counters.CountRejected(kTooManyRefusals);
    session_.Close();
    status_ = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                           "too much of what was sent is refused");
    reader_->Pause();
    later_.Set(std::chrono::system_clock::now() + kUnread,
               [reader = reader_](bool) { reader->EndIfPaused(); });
  }

  void End() {
    session_.Close();
    if (outbox_->Close()) Finish(status_);
  }

  // Called with the writer's turn.
  void WriteNext() {
    Outbox::Taken taken = outbox_->Take();
    if (taken.message) {
      outgoing_.Clear();
      bool own_buffer = false;
      grpc::SerializationTraits<v1::ServerMessage>::Serialize(
          *taken.message, &outgoing_, &own_buffer);
      // What more waits comes right after: one system call takes them all.
      grpc::WriteOptions options;
      if (taken.more) options.set_buffer_hint();
      StartWrite(&outgoing_, options);
    } else if (taken.closed) {
      Finish(status_);
    }
  }

  const std::unique_ptr<PeerLimit::Place> place_;
  const std::string sender_;  // whose refusals these are
  const std::shared_ptr<Reader> reader_;
  const std::shared_ptr<Outbox> outbox_;
  Shared& shared_;
  Session session_;
  grpc::Status status_;  // written by the reader, before it closes the outbox
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
  // The message in hand, sketches aside, which go on to the run: room for a
  // batch of eight reports.
  std::array<char, 4096> block_;
  google::protobuf::Arena arena_{block_.data(), block_.size()};
  grpc::Alarm later_;
};

// A stream that ends before it begins.
class NoStream
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit NoStream(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

class TelemetryService : public v1::Telemetry::WithRawCallbackMethod_Stream<
                             v1::Telemetry::Service> {
 public:
  TelemetryService(const Limits& limits, Sink& sink,
                   runs::DaemonCounters& counters, identity::Gate* gate,
                   RankClaims::Contested contested,
                   std::function<absl::Duration()> now)
      : shared_{.limits = limits,
                .sink = sink,
                .counters = counters,
                .now = std::move(now),
                .peers = PeerLimit(limits.max_streams_per_peer),
                .refusals = RefusalLimit(limits.max_sources_per_stream)},
        gate_(gate),
        claims_(std::move(contested)) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Stream(
      grpc::CallbackServerContext* context) override {
    Admission admission;
    std::string sender = HostOf(context->peer());
    if (gate_ != nullptr) {
      auto identity =
          identity::Admit(*gate_, identity::Verb::kReport, *context);
      if (!identity.ok()) return Refused(identity.status());
      absl::StrAppend(&sender, " ", identity->name());
      admission =
          Admission(*gate_, claims_, *std::move(identity), context->peer());
    }
    Caller caller;
    std::string protocol = absl::StrCat(kProtocol);
    for (const auto& [key, value] : context->client_metadata()) {
      std::string text(value.data(), value.size());
      if (key == kViaKey)
        caller.via.push_back(std::move(text));
      else if (key == kProtocolKey)
        protocol = std::move(text);
    }
    context->AddInitialMetadata(kProtocolKey, absl::StrCat(kProtocol));
    if (protocol != absl::StrCat(kProtocol)) {
      return Refused(absl::FailedPreconditionError(absl::StrCat(
          "this daemon speaks version ", kProtocol,
          " of the protocol, not version ", absl::CHexEscape(protocol))));
    }
    if (const absl::Status status = shared_.sink.Admit(caller); !status.ok()) {
      return Refused(absl::FailedPreconditionError(status.message()));
    }
    auto place = shared_.peers.Take(context->peer());
    if (place == nullptr) {
      shared_.counters.CountRejected(kTooManyStreams);
      return Refused(absl::ResourceExhaustedError(
          "this address has as many streams as it may"));
    }
    return new ingest::Stream(shared_, std::move(caller), std::move(admission),
                              std::move(sender), std::move(place));
  }

 private:
  static NoStream* Refused(const absl::Status& status) {
    // The codes are numbered alike.
    return new NoStream({static_cast<grpc::StatusCode>(status.code()),
                         std::string(status.message())});
  }

  Shared shared_;
  identity::Gate* const gate_;  // may be null
  RankClaims claims_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeTelemetryService(
    const Limits& limits, Sink& sink, runs::DaemonCounters& counters,
    identity::Gate* gate, RankClaims::Contested contested,
    std::function<absl::Duration()> now) {
  // A sender's invalid bytes are counted; they are no news for our log.
  google::protobuf::SetLogHandler(nullptr);
  for (const std::string& reason : ReasonLabels()) counters.Declare(reason);
  counters.Declare(kTooManyStreams);
  counters.Declare(kTooManyRefusals);
  return std::make_unique<TelemetryService>(
      limits, sink, counters, gate, std::move(contested), std::move(now));
}

}  // namespace muster::ingest
