// How a daemon bears one run of many ranks: opens a stream for each rank, lets
// all report step after step, and says how long a step took from the first
// report to the last acknowledgement, and what the daemon's process then holds.
//
//   many_ranks HOST:PORT RANKS STEPS [DAEMON_PID]
//
// A measurement, not a test: numbers depend on the machine, which the client
// side shares with the daemon here.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "muster/v1/telemetry.grpc.pb.h"

namespace {

using muster::v1::ClientMessage;
using muster::v1::ServerMessage;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kWidth = 1024;
constexpr int kChannels = 8;

// One rank: writes what it is told, counts what is acknowledged.
class Rank : public grpc::ClientBidiReactor<ClientMessage, ServerMessage> {
 public:
  Rank(muster::v1::Telemetry::Stub& stub, uint32_t rank, uint32_t world_size,
       std::atomic<uint64_t>& answered)
      : rank_(rank), answered_(answered) {
    stub.async()->Stream(&context_, this);
    auto* hello = outgoing_.mutable_hello();
    hello->set_source(1);
    hello->set_run("many");
    hello->set_rank(rank);
    hello->set_world_size(world_size);
    hello->set_incarnation(1 + rank);
    hello->mutable_sketch()->set_version(1);
    hello->mutable_sketch()->set_width(kWidth);
    hello->set_host("host-" + std::to_string(rank / 8));
    StartRead(&incoming_);
    StartWrite(&outgoing_);
    AddHold();
    StartCall();
  }

  // After the previous one is acknowledged.
  void Report(uint64_t step) {
    outgoing_.Clear();
    auto* report = outgoing_.mutable_reports()->add_reports();
    report->set_source(1);
    report->set_sequence(step + 1);
    report->set_step(step);
    // Some spread without a generator: enough for the statistics to do work.
    const uint32_t hash = (rank_ * 2654435761u) ^ (step * 40503u);
    report->set_loss(2 + (hash % 1000) * 1e-3);
    report->set_gradient_norm(1 + (hash % 777) * 1e-3);
    std::string& sketch = *report->mutable_sketch();
    sketch.resize(2 * kWidth);
    for (uint32_t i = 0; i < kWidth; ++i) {
      const uint32_t bits = hash * (2 * i + 1);
      sketch[2 * i] = static_cast<char>(bits >> 8);
      sketch[2 * i + 1] = static_cast<char>(0x20 | ((bits >> 24) & 0x87));
    }
    report->set_elements_observed(1'000'000);
    StartWrite(&outgoing_);
  }

  void Stop() {
    context_.TryCancel();
    RemoveHold();
    while (!done_) std::this_thread::yield();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    answered_ += incoming_.has_welcome() || incoming_.has_ack();
    StartRead(&incoming_);
  }
  void OnDone(const grpc::Status& status) override { done_ = true; }

 private:
  const uint32_t rank_;
  std::atomic<uint64_t>& answered_;
  std::atomic<bool> done_{false};
  grpc::ClientContext context_;
  ClientMessage outgoing_;
  ServerMessage incoming_;
};

std::string StatusLine(const std::string& pid, const std::string& name) {
  std::ifstream file("/proc/" + pid + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name, 0) == 0) return line;
  }
  return name + ": unknown";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s HOST:PORT RANKS STEPS [DAEMON_PID]\n",
                 argv[0]);
    return 2;
  }
  const auto ranks = static_cast<uint32_t>(std::atoi(argv[2]));
  const int steps = std::atoi(argv[3]);
  std::atomic<uint64_t> answered{0};
  const auto wait_for = [&](uint64_t count) {
    while (answered < count) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  };

  std::vector<std::unique_ptr<muster::v1::Telemetry::Stub>> stubs;
  for (int i = 0; i < kChannels; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stubs.push_back(muster::v1::Telemetry::NewStub(grpc::CreateCustomChannel(
        argv[1], grpc::InsecureChannelCredentials(), arguments)));
  }
  auto start = Clock::now();
  std::vector<std::unique_ptr<Rank>> all;
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    all.push_back(std::make_unique<Rank>(*stubs[rank % kChannels], rank, ranks,
                                         answered));
  }
  wait_for(ranks);
  const auto seconds_since = [](Clock::time_point from) {
    return std::chrono::duration<double>(Clock::now() - from).count();
  };
  std::printf("%u streams welcomed in %.2f s\n", ranks, seconds_since(start));

  std::vector<double> took;
  for (int step = 0; step < steps; ++step) {
    start = Clock::now();
    for (const auto& rank : all) rank->Report(step);
    wait_for(uint64_t{ranks} * (step + 2));
    took.push_back(seconds_since(start));
  }
  std::sort(took.begin(), took.end());
  if (!took.empty()) {
    std::printf("%d steps: median %.3f s, worst %.3f s; %.0f reports/s\n",
                steps, took[took.size() / 2], took.back(),
                ranks / took[took.size() / 2]);
  }
  if (argc > 4) {
    for (const char* name : {"VmHWM", "VmRSS", "Threads"}) {
      std::printf("daemon %s\n", StatusLine(argv[4], name).c_str());
    }
  }
  for (const auto& rank : all) rank->Stop();
  return 0;
}
