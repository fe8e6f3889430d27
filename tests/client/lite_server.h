// A small daemon in the test's own process, built from the lite service.
#ifndef MUSTER_TESTS_CLIENT_LITE_SERVER_H_
#define MUSTER_TESTS_CLIENT_LITE_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "muster/v1/telemetry.grpc.pb.h"

namespace muster {

// Welcomes each Hello with 0, shows one alert after it, acknowledges each batch
// unless told not to. Thread-safe.
class LiteServer final : public v1::Telemetry::Service {
 public:
  struct Record {
    std::vector<v1::ClientMessage> messages;
    size_t streams_ended = 0;  // by the client's half-close

    std::vector<uint64_t> steps() const {
      std::vector<uint64_t> steps;
      for (const v1::ClientMessage& message : messages) {
        for (const v1::StepReport& report : message.reports().reports()) {
          steps.push_back(report.step());
        }
      }
      return steps;
    }
  };

  // Listens on `address`; port 0 takes a free one.
  explicit LiteServer(const std::string& address,
                      std::shared_ptr<grpc::ServerCredentials> credentials =
                          grpc::InsecureServerCredentials()) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, std::move(credentials), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~LiteServer() override { Shutdown(); }

  void Shutdown() {
    if (server_ != nullptr) {
      server_->Shutdown(std::chrono::system_clock::now());
      server_->Wait();
    }
    server_.reset();
  }

  bool running() const { return server_ != nullptr; }
  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  void SetAcknowledging(bool acknowledging) {
    std::lock_guard lock(mutex_);
    acknowledging_ = acknowledging;
  }

  // False if `condition` does not hold within 20 s.
  bool WaitFor(const std::function<bool(const Record&)>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return condition(record_); });
  }

 private:
  using Pipe = grpc::ServerReaderWriter<v1::ServerMessage, v1::ClientMessage>;

  grpc::Status Stream(grpc::ServerContext*, Pipe* pipe) override {
    v1::ClientMessage message;
    while (pipe->Read(&message)) {
      v1::ServerMessage answer;
      bool acknowledging = false;
      {
        std::lock_guard lock(mutex_);
        record_.messages.push_back(message);
        acknowledging = acknowledging_;
        changed_.notify_all();
      }
      if (message.has_hello()) {
        answer.mutable_welcome()->set_source(message.hello().source());
        pipe->Write(answer);
        answer.mutable_alerts()->set_source(message.hello().source());
        v1::Alert* alert = answer.mutable_alerts()->add_alerts();
        alert->set_id(1);
        alert->set_kind("RankOutlier");
        alert->set_evidence("rank \"1\"");
        pipe->Write(answer);
      } else if (message.has_reports() && acknowledging) {
        const v1::StepReport& last = *message.reports().reports().rbegin();
        answer.mutable_ack()->set_source(last.source());
        answer.mutable_ack()->set_sequence(last.sequence());
        pipe->Write(answer);
      }
    }
    std::lock_guard lock(mutex_);
    ++record_.streams_ended;
    changed_.notify_all();
    return grpc::Status::OK;
  }

  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  Record record_;
  bool acknowledging_ = true;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace muster

#endif  // MUSTER_TESTS_CLIENT_LITE_SERVER_H_
