#include "daemon/ingest/service.h"

#include <utility>

#include "daemon/base/mutex.h"
#include "daemon/ingest/outbox.h"
#include "daemon/ingest/session.h"
#include "grpcpp/grpcpp.h"
#include "muster/v1/telemetry.grpc.pb.h"

namespace muster::ingest {
namespace {

// One stream. gRPC calls the On… methods; it deletes itself in OnDone, which
// comes after Finish and all that was started. Finish is called once: by the
// reader when it closes the outbox, or by the writer that had the turn then.
class Stream
    : public grpc::ServerBidiReactor<v1::ClientMessage, v1::ServerMessage> {
 public:
  Stream(const Limits& limits, runs::Registry& registry,
         runs::DaemonCounters& counters)
      : reader_(std::make_shared<Reader>(this)),
        outbox_(std::make_shared<Outbox>([this] { WriteNext(); })),
        session_(limits, registry, counters, outbox_) {
    StartRead(&incoming_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      End();
      return;
    }
    const std::shared_ptr<runs::Run> full = session_.Take(incoming_);
    incoming_.Clear();
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

   private:
    Stream* const stream_;
    Mutex mutex_;
    bool paused_ ABSL_GUARDED_BY(mutex_) = false;
    bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  };

  void End() {
    session_.Close();
    if (outbox_->Close()) Finish(grpc::Status::OK);
  }

  // Called with the writer's turn.
  void WriteNext() {
    Outbox::Taken taken = outbox_->Take();
    if (taken.message) {
      outgoing_ = *std::move(taken.message);
      StartWrite(&outgoing_);
    } else if (taken.closed) {
      Finish(grpc::Status::OK);
    }
  }

  const std::shared_ptr<Reader> reader_;
  const std::shared_ptr<Outbox> outbox_;
  Session session_;
  v1::ClientMessage incoming_;
  v1::ServerMessage outgoing_;
};

class TelemetryService : public v1::Telemetry::CallbackService {
 public:
  TelemetryService(const Limits& limits, runs::Registry& registry,
                   runs::DaemonCounters& counters)
      : limits_(limits), registry_(registry), counters_(counters) {}

  grpc::ServerBidiReactor<v1::ClientMessage, v1::ServerMessage>* Stream(
      grpc::CallbackServerContext* context) override {
    return new ingest::Stream(limits_, registry_, counters_);
  }

 private:
  const Limits limits_;
  runs::Registry& registry_;
  runs::DaemonCounters& counters_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeTelemetryService(
    const Limits& limits, runs::Registry& registry,
    runs::DaemonCounters& counters) {
  return std::make_unique<TelemetryService>(limits, registry, counters);
}

}  // namespace muster::ingest
