// How fast a daemon takes reports in, against a server that only reads the same
// stream: both in processes of their own, in turn, over loopback.
//
//   daemon_ingest MUSTERD [--json FILE] [--pairs N]
//
// A measurement, not a test. Rates are reports for each second of processor
// time that the server's process used, and for each second that passed. The
// client sends the same bytes to both, made before the clock starts: one run of
// 64 ranks over one stream, as a relay would, k = 1024, eight reports of
// one rank to a message.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "muster/v1/telemetry.pb.h"
#include "tests/bench/flat_json.h"
#include "tests/bench/process.h"
#include "tests/bench/simulated_reports.h"

namespace muster::bench {
namespace {

constexpr uint32_t kRanks = 64;
constexpr uint32_t kSteps = 1504;
constexpr uint32_t kBatch = 8;  // divides kSteps
constexpr uint32_t kWidth = 1024;
constexpr char kMethod[] = "/muster.v1.Telemetry/Stream";
constexpr double kReports = double{kRanks} * kSteps;

// Reads until the client has no more to say.
class OnlyReads : public grpc::ServerGenericBidiReactor {
 public:
  OnlyReads() { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (ok) {
      StartRead(&message_);
    } else {
      Finish(grpc::Status::OK);
    }
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer message_;
};

class OnlyReadsService : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new OnlyReads;
  }
};

int ServeOnlyReads(const char* ports_file) {
  OnlyReadsService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterCallbackGenericService(&service);
  const auto server = builder.BuildAndStart();
  std::ofstream(ports_file) << "{\"grpc\":\"127.0.0.1:" << port << "\"}";
  server->Wait();
  return 0;
}

grpc::ByteBuffer ToBuffer(const v1::ClientMessage& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::vector<grpc::ByteBuffer> MakeReports() {
  std::vector<grpc::ByteBuffer> messages;
  SimulateReports(
      kRanks, kSteps, kBatch, kWidth,
      [&](const v1::ClientMessage& message) {
        messages.push_back(ToBuffer(message));
      },
      [](const frames::Report& from, v1::StepReport& report) {
        report.set_wall_time_unix_nanos(1'700'000'000'000'000'000);
        report.set_step_duration_seconds(*from.step_duration_seconds);
        report.set_learning_rate(*from.learning_rate);
      });
  return messages;
}

std::vector<grpc::ByteBuffer> MakeHellos(int round) {
  std::vector<grpc::ByteBuffer> messages;
  for (uint32_t rank = 0; rank < kRanks; ++rank) {
    v1::ClientMessage message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_source(rank + 1);
    hello.set_run("ingest-" + std::to_string(round));
    hello.set_rank(rank);
    hello.set_world_size(kRanks);
    hello.set_incarnation(rank + 1);
    hello.mutable_sketch()->set_version(1);
    hello.mutable_sketch()->set_width(kWidth);
    messages.push_back(ToBuffer(message));
  }
  return messages;
}

// Writes all it is given, waits for the last acknowledgement of each source
// where the server gives any, and ends the stream.
class Sender
    : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Sender(grpc::GenericStub& stub, const std::vector<grpc::ByteBuffer>& hellos,
         const std::vector<grpc::ByteBuffer>& reports, bool acknowledges)
      : acknowledges_(acknowledges) {
    for (const auto* list : {&hellos, &reports}) {
      for (const grpc::ByteBuffer& message : *list) {
        messages_.push_back(&message);
      }
    }
    stub.PrepareBidiStreamingCall(&context_, kMethod, grpc::StubOptions(),
                                  this);
    StartRead(&incoming_);
    // Ends the stream from another callback than that of the last write.
    AddHold();
    StartWrite(messages_[0]);
    StartCall();
  }

  void OnWriteDone(bool ok) override {
    if (ok && ++written_ < messages_.size()) {
      StartWrite(messages_[written_]);
    } else if (!ok || !acknowledges_) {
      End();
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    v1::ServerMessage message;
    if (grpc::SerializationTraits<v1::ServerMessage>::Deserialize(&incoming_,
                                                                  &message)
            .ok() &&
        message.ack().sequence() == kSteps && ++settled_ == kRanks) {
      End();
    }
    StartRead(&incoming_);
  }

  void OnDone(const grpc::Status& status) override {
    good_ = status.ok() && (!acknowledges_ || settled_ == kRanks);
    done_ = true;
    done_.notify_one();
  }

  bool Wait() {
    done_.wait(false);
    return good_;
  }

 private:
  void End() {
    StartWritesDone();
    RemoveHold();
  }

  const bool acknowledges_;
  grpc::ClientContext context_;
  std::vector<const grpc::ByteBuffer*> messages_;
  size_t written_ = 0;
  uint32_t settled_ = 0;
  grpc::ByteBuffer incoming_;
  bool good_ = false;
  std::atomic<bool> done_{false};
};

struct Rate {
  double per_core_second = 0;
  double per_second = 0;
};

Rate Measure(const ServerProcess& server, grpc::GenericStub& stub,
             const std::vector<grpc::ByteBuffer>& reports, int round,
             bool acknowledges) {
  const std::vector<grpc::ByteBuffer> hellos = MakeHellos(round);
  const double cpu = server.CpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  Sender sender(stub, hellos, reports, acknowledges);
  if (!sender.Wait()) {
    std::fprintf(stderr, "a stream broke\n");
    std::exit(1);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  return {kReports / (server.CpuSeconds() - cpu), kReports / seconds};
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2,
                   values.end());
  return values[values.size() / 2];
}

std::unique_ptr<grpc::GenericStub> Connect(const ServerProcess& server) {
  return std::make_unique<grpc::GenericStub>(grpc::CreateChannel(
      server.grpc_address(), grpc::InsecureChannelCredentials()));
}

int Main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--only-reads") == 0) {
    return ServeOnlyReads(argv[2]);
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MUSTERD [--json FILE] [--pairs N]\n",
                 argv[0]);
    return 2;
  }
  int pairs = 9;
  for (int i = 2; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--pairs") == 0) pairs = std::atoi(argv[i + 1]);
  }
  const ServerProcess bare({argv[0], "--only-reads"});
  const ServerProcess daemon(MusterdCommand(argv[1]));
  const auto bare_stub = Connect(bare);
  const auto daemon_stub = Connect(daemon);
  const std::vector<grpc::ByteBuffer> reports = MakeReports();
  std::vector<double> bare_rates, daemon_rates, wall_rates, ratios, wall_ratios;
  // The first pair warms up connections and memory.
  for (int round = 0; round <= pairs; ++round) {
    const Rate one = Measure(bare, *bare_stub, reports, round, false);
    const Rate other = Measure(daemon, *daemon_stub, reports, round, true);
    if (round == 0) continue;
    bare_rates.push_back(one.per_core_second);
    daemon_rates.push_back(other.per_core_second);
    wall_rates.push_back(other.per_second);
    ratios.push_back(other.per_core_second / one.per_core_second);
    wall_ratios.push_back(other.per_second / one.per_second);
  }
  std::printf(
      "%g reports of %u ranks, k = %u, %u to a message; medians of %d pairs\n"
      "only reads: %.0f reports a core-second\n"
      "musterd:    %.0f reports a core-second, %.0f a second\n"
      "ratio:      %.3f by processor time, %.3f by time\n",
      kReports, kRanks, kWidth, kBatch, pairs, Median(bare_rates),
      Median(daemon_rates), Median(wall_rates), Median(ratios),
      Median(wall_ratios));
  FlatJson json;
  json.Add("ingest.over_bare_grpc", Median(ratios));
  json.Add("ingest.over_bare_grpc_by_time", Median(wall_ratios));
  json.Add("ingest.reports_per_core_second", Median(daemon_rates));
  json.Add("ingest.bare_reports_per_core_second", Median(bare_rates));
  json.Add("ingest.reports_per_second", Median(wall_rates));
  return json.WriteIfAsked(argc, argv) ? 0 : 1;
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) { return muster::bench::Main(argc, argv); }
