// How long an alert takes: from the last report of a frame until the client of
// the rank that it names is told, and until those of all 1,024 ranks are. They
// share one stream, as behind a relay or in a simulation.
//
//   alert_delay MUSTERD [--json FILE]
//
// A measurement, not a test. The next frame is sent as soon as all reports of
// the one before are acknowledged, so the daemon is never idle for long. Now
// and then one rank reports a loss that is not a number, and healthy frames
// follow until that alert is resolved.
#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/simulate/generator.h"
#include "grpcpp/grpcpp.h"
#include "muster/v1/telemetry.grpc.pb.h"
#include "tests/bench/flat_json.h"
#include "tests/bench/process.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kRanks = 1024;
constexpr uint32_t kWidth = 1024;
constexpr uint32_t kBatch = 64;  // reports to a message; divides kRanks
constexpr int kEvents = 128;
constexpr int kWarmUpFrames = 20;
// Far more than an alert takes to be resolved.
constexpr int kMostHealthyFrames = 1000;
constexpr auto kPatience = std::chrono::seconds(30);

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "alert_delay: %s\n", what);
  std::_Exit(1);
}

// When clients were told of an alert.
struct Seen {
  Clock::time_point by_watched;
  Clock::time_point by_all;
};

// Says what the daemon answered. Thread-safe.
class Answers {
 public:
  void Take(const v1::ServerMessage& message) {
    const Clock::time_point now = Clock::now();
    const std::lock_guard lock(mutex_);
    welcomed_ += message.has_welcome();
    acknowledged_ += message.has_ack() && message.ack().sequence() == sequence_;
    if (message.has_refusal()) Die(message.refusal().detail().c_str());
    if (message.has_alerts()) {
      const auto& alerts = message.alerts().alerts();
      const bool fires = std::any_of(
          alerts.begin(), alerts.end(),
          [](const v1::Alert& alert) { return alert.kind() == "NonFinite"; });
      bool& knew = knows_[message.alerts().source() - 1];
      if (fires && !knew) {
        ++knowing_;
        if (message.alerts().source() == watched_) seen_.by_watched = now;
        seen_.by_all = now;
      }
      if (!fires && knew) --knowing_;
      knew = fires;
    }
    changed_.notify_all();
  }

  // Before the reports with that sequence number are sent; `watched`: the
  // source whose word counts, should an alert be raised.
  void Expect(uint64_t sequence, uint32_t watched) {
    const std::lock_guard lock(mutex_);
    watched_ = watched;
    sequence_ = sequence;
    acknowledged_ = 0;
  }
  void WaitForWelcomes() {
    Wait([this] { return welcomed_ == kRanks; });
  }
  void WaitForAcknowledgements() {
    Wait([this] { return acknowledged_ == kRanks; });
  }
  // Returns when all sources have been told of the alert.
  Seen WaitForAlert() {
    Wait([this] { return knowing_ == kRanks; });
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  bool fires() {
    const std::lock_guard lock(mutex_);
    return knowing_ > 0;
  }

 private:
  template <typename Condition>
  void Wait(Condition condition) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, condition)) Die("no answer");
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  uint32_t welcomed_ = 0;
  uint64_t sequence_ = 0;
  uint32_t acknowledged_ = 0;
  std::array<bool, kRanks> knows_{};  // by source: that the alert fires
  uint32_t knowing_ = 0;
  uint32_t watched_ = 0;
  Seen seen_;
};

class Run {
 public:
  explicit Run(const std::string& address)
      : stub_(v1::Telemetry::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))),
        stream_(stub_->Stream(&context_)),
        reader_([this] {
          v1::ServerMessage message;
          while (stream_->Read(&message)) answers_.Take(message);
        }),
        generator_(Options(0)),
        sketched_(simulate::Generator(Options(kWidth)).Next().frame.reports) {
    for (uint32_t rank = 0; rank < kRanks; ++rank) {
      v1::ClientMessage message;
      v1::Hello& hello = *message.mutable_hello();
      hello.set_source(rank + 1);
      hello.set_run("delay");
      hello.set_rank(rank);
      hello.set_world_size(kRanks);
      hello.set_incarnation(rank + 1);
      hello.mutable_sketch()->set_version(1);
      hello.mutable_sketch()->set_width(kWidth);
      if (!stream_->Write(message)) Die("the stream broke");
    }
    answers_.WaitForWelcomes();
  }
  ~Run() {
    context_.TryCancel();
    reader_.join();
  }

  // Returns when the last of its reports was given to gRPC. `broken`: the rank
  // whose loss is not a number, kRanks for none.
  Clock::time_point SendFrame(uint32_t broken) {
    const frames::Frame frame = generator_.Next().frame;
    const uint64_t sequence = frame.reports[0].sequence;
    answers_.Expect(sequence, broken + 1);
    v1::ClientMessage message;
    Clock::time_point sent;
    for (const frames::Report& from : frame.reports) {
      v1::StepReport& report = *message.mutable_reports()->add_reports();
      report.set_source(from.rank + 1);
      report.set_sequence(from.sequence);
      report.set_step(from.step);
      report.set_loss(from.rank == broken
                          ? std::numeric_limits<double>::quiet_NaN()
                          : *from.loss);
      report.set_weight(*from.weight);
      report.set_gradient_norm(*from.gradient_norm);
      // Drawn once, for time's sake; in each frame they change hands.
      report.set_sketch(sketched_[(from.rank + 37 * sequence) % kRanks].sketch);
      report.set_elements_observed(from.elements_observed);
      if (message.reports().reports_size() < static_cast<int>(kBatch)) continue;
      sent = Clock::now();
      if (!stream_->Write(message)) Die("the stream broke");
      message.Clear();
    }
    return sent;
  }

  // Adds the milliseconds from the last report of a frame in which `rank`
  // breaks until that rank, and all ranks, are told; returns after the alert
  // is resolved.
  void Break(uint32_t rank, std::vector<double>& own,
             std::vector<double>& all) {
    const Clock::time_point sent = SendFrame(rank);
    answers_.WaitForAcknowledgements();
    const Seen seen = answers_.WaitForAlert();
    using Milliseconds = std::chrono::duration<double, std::milli>;
    own.push_back(Milliseconds(seen.by_watched - sent).count());
    all.push_back(Milliseconds(seen.by_all - sent).count());
    for (int healthy = 0; answers_.fires(); ++healthy) {
      if (healthy > kMostHealthyFrames) Die("the alert is never resolved");
      SendHealthy();
    }
  }
  void SendHealthy() {
    SendFrame(kRanks);
    answers_.WaitForAcknowledgements();
  }

 private:
  static simulate::Options Options(uint32_t width) {
    simulate::Options options;
    options.ranks = kRanks;
    options.sketch_width = width;
    return options;
  }

  Answers answers_;
  grpc::ClientContext context_;
  std::unique_ptr<v1::Telemetry::Stub> stub_;
  std::unique_ptr<
      grpc::ClientReaderWriter<v1::ClientMessage, v1::ServerMessage>>
      stream_;
  std::thread reader_;
  simulate::Generator generator_;
  const std::vector<frames::Report> sketched_;
};

void Tell(const char* who, const std::string& key, std::vector<double> delays,
          FlatJson& json) {
  std::sort(delays.begin(), delays.end());
  const double median = delays[delays.size() / 2];
  const double p99 = delays[(delays.size() * 99 + 99) / 100 - 1];
  std::printf("%s: median %.2f ms, 99 %% %.2f ms, worst %.2f ms\n", who, median,
              p99, delays.back());
  json.Add(key + "_p50_ms", median);
  json.Add(key + "_p99_ms", p99);
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MUSTERD [--json FILE]\n", argv[0]);
    return 2;
  }
  const ServerProcess daemon(MusterdCommand(argv[1]));
  Run run(daemon.grpc_address());
  for (int i = 0; i < kWarmUpFrames; ++i) run.SendHealthy();
  std::vector<double> own;
  std::vector<double> all;
  for (uint32_t event = 0; event < kEvents; ++event) {
    run.Break(event * 331 % kRanks, own, all);
  }
  std::printf("last report sent to alert seen, %u ranks, k = %u, %d alerts\n",
              kRanks, kWidth, kEvents);
  FlatJson json;
  Tell("by the rank that is named", "alert.delay", own, json);
  Tell("by all ranks", "alert.delay_to_all", all, json);
  return json.WriteIfAsked(argc, argv) ? 0 : 1;
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) { return muster::bench::Main(argc, argv); }
