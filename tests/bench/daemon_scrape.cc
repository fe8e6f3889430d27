// What a scrape of a daemon costs, and what it costs the ranks.
//
//   daemon_scrape MUSTERD [--json FILE] [--pairs N]
//
// A measurement, not a test. Eight live runs of 256 ranks each: time and size
// of GET /metrics, a new connection each time. Then another run is taken in as
// fast as it goes, in turn without a scraper and with one that scrapes once a
// second (15 times as often as Prometheus by default), and with one that begins
// the next scrape when the last one ends.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/grpcpp.h"
#include "muster/v1/telemetry.grpc.pb.h"
#include "tests/bench/flat_json.h"
#include "tests/bench/process.h"
#include "tests/bench/simulated_reports.h"

namespace muster::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 8;
constexpr uint32_t kRanks = 256;
constexpr uint32_t kWidth = 1024;
constexpr uint32_t kIngestRanks = 64;
constexpr uint32_t kIngestSteps = 1504;
constexpr uint32_t kBatch = 8;  // divides kIngestSteps
constexpr int kScrapes = 50;

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2,
                   values.end());
  return values[values.size() / 2];
}

// GET /metrics of 127.0.0.1:PORT; the body.
std::string Scrape(int port) {
  const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(connection, reinterpret_cast<sockaddr*>(&address),
                sizeof(address)) != 0) {
    Die("cannot connect to the daemon's HTTP address");
  }
  constexpr char kRequest[] =
      "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (::send(connection, kRequest, sizeof(kRequest) - 1, 0) < 0) Die("send");
  std::string answer;
  std::vector<char> buffer(1 << 16);
  for (ssize_t size;
       (size = ::recv(connection, buffer.data(), buffer.size(), 0)) > 0;) {
    answer.append(buffer.data(), static_cast<size_t>(size));
  }
  ::close(connection);
  const size_t body = answer.find("\r\n\r\n");
  if (answer.rfind("HTTP/1.1 200", 0) != 0 || body == std::string::npos) {
    Die("the scrape failed");
  }
  return answer.substr(body + 4);
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

// One stream that speaks for all ranks of a run, as a relay would.
class RunStream {
 public:
  RunStream(v1::Telemetry::Stub& stub, const std::string& run, uint32_t ranks)
      : ranks_(ranks), stream_(stub.Stream(&context_)) {
    for (uint32_t rank = 0; rank < ranks; ++rank) {
      v1::ClientMessage message;
      v1::Hello& hello = *message.mutable_hello();
      hello.set_source(rank + 1);
      hello.set_run(run);
      hello.set_rank(rank);
      hello.set_world_size(ranks);
      hello.set_incarnation(rank + 1);
      hello.mutable_sketch()->set_version(1);
      hello.mutable_sketch()->set_width(kWidth);
      Write(message);
    }
  }

  void Write(const v1::ClientMessage& message) {
    if (!stream_->Write(message)) Die("a stream broke");
  }

  // Until the daemon has acknowledged `sequence` of each rank.
  void WaitFor(uint64_t sequence) {
    v1::ServerMessage message;
    for (uint32_t settled = 0; settled < ranks_;) {
      if (!stream_->Read(&message)) Die("a stream broke");
      settled += message.has_ack() && message.ack().sequence() == sequence;
    }
  }

  // The run ends.
  void Leave() {
    for (uint32_t rank = 0; rank < ranks_; ++rank) {
      v1::ClientMessage message;
      message.mutable_goodbye()->set_source(rank + 1);
      Write(message);
    }
    stream_->WritesDone();
    v1::ServerMessage message;
    while (stream_->Read(&message)) {
    }
    if (!stream_->Finish().ok()) Die("a stream broke");
  }

 private:
  const uint32_t ranks_;
  grpc::ClientContext context_;
  const std::unique_ptr<
      grpc::ClientReaderWriter<v1::ClientMessage, v1::ServerMessage>>
      stream_;
};

std::vector<v1::ClientMessage> MakeReports(uint32_t ranks, uint32_t steps,
                                           uint32_t batch) {
  std::vector<v1::ClientMessage> messages;
  SimulateReports(
      ranks, steps, batch, kWidth,
      [&](const v1::ClientMessage& message) { messages.push_back(message); },
      [](const frames::Report&, v1::StepReport&) {});
  return messages;
}

// Scrapes until destroyed, at once and then every `pause`.
class Scraper {
 public:
  Scraper(int port, std::chrono::milliseconds pause)
      : thread_([this, port, pause] {
          auto next = Clock::now();
          while (!stop_) {
            if (Clock::now() >= next) {
              Scrape(port);
              next += pause;
            } else {
              std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
          }
        }) {}
  ~Scraper() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// Reports taken in each second.
double IngestRate(v1::Telemetry::Stub& stub,
                  const std::vector<v1::ClientMessage>& reports) {
  static int round = 0;
  RunStream run(stub, "ingest-" + std::to_string(round++), kIngestRanks);
  const auto start = Clock::now();
  for (const v1::ClientMessage& message : reports) run.Write(message);
  run.WaitFor(kIngestSteps);
  const double seconds = Since(start);
  run.Leave();
  return double{kIngestRanks} * kIngestSteps / seconds;
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MUSTERD [--json FILE] [--pairs N]\n",
                 argv[0]);
    return 2;
  }
  int pairs = 9;
  for (int i = 2; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--pairs") == 0) pairs = std::atoi(argv[i + 1]);
  }
  // What was ingested leaves no series behind.
  char config[] = "/tmp/muster-bench-config-XXXXXX";
  ::close(::mkstemp(config));
  std::ofstream(config) << "metrics: {keep_ended: 0s}\nkeep_ended: 0s\n";
  std::vector<std::string> command = MusterdCommand(argv[1]);
  command.insert(command.begin() + 1, {"--config", config});
  const ServerProcess daemon(command);
  std::remove(config);
  const std::string ports = daemon.ports();
  const size_t http = ports.find("\"http\":\"127.0.0.1:");
  if (http == std::string::npos) Die("no HTTP address");
  const int port = std::atoi(ports.c_str() + http + 18);
  const auto stub = v1::Telemetry::NewStub(grpc::CreateChannel(
      daemon.grpc_address(), grpc::InsecureChannelCredentials()));

  constexpr uint32_t kSteps = 4;
  const auto few = MakeReports(kRanks, kSteps, 1);
  std::vector<std::unique_ptr<RunStream>> live;
  for (int i = 0; i < kRuns; ++i) {
    live.push_back(std::make_unique<RunStream>(
        *stub, "pretraining-" + std::to_string(i), kRanks));
    for (const v1::ClientMessage& message : few) live.back()->Write(message);
    live.back()->WaitFor(kSteps);
  }
  std::vector<double> milliseconds;
  size_t bytes = 0;
  for (int i = 0; i < kScrapes; ++i) {
    const auto start = Clock::now();
    const std::string text = Scrape(port);
    milliseconds.push_back(1e3 * Since(start));
    bytes = std::max(bytes, text.size());
    if (Count(text, "\nmuster_rank_gradient_cosine{") != kRuns * kRanks) {
      Die("not all ranks are in the scrape");
    }
  }
  const double worst =
      *std::max_element(milliseconds.begin(), milliseconds.end());

  const auto reports = MakeReports(kIngestRanks, kIngestSteps, kBatch);
  std::vector<double> alone, ratios, ratios_without_pause;
  // The first round warms up.
  for (int round = 0; round <= pairs; ++round) {
    const double without = IngestRate(*stub, reports);
    double with = 0, without_pause = 0;
    {
      const Scraper scraper(port, std::chrono::seconds(1));
      with = IngestRate(*stub, reports);
    }
    {
      const Scraper scraper(port, std::chrono::milliseconds(0));
      without_pause = IngestRate(*stub, reports);
    }
    if (round == 0) continue;
    alone.push_back(without);
    ratios.push_back(with / without);
    ratios_without_pause.push_back(without_pause / without);
  }
  std::printf(
      "scrape of %d runs of %u ranks: median %.1f ms, worst of %d %.1f ms, "
      "%.3f MB\n"
      "ingest: %.0f reports a second; scraped once a second %.3f of that, "
      "without a pause %.3f; medians of %d\n",
      kRuns, kRanks, Median(milliseconds), kScrapes, worst, bytes * 1e-6,
      Median(alone), Median(ratios), Median(ratios_without_pause), pairs);
  FlatJson json;
  json.Add("scrape.runs8_ranks256_ms", Median(milliseconds));
  json.Add("scrape.runs8_ranks256_worst_ms", worst);
  json.Add("scrape.runs8_ranks256_mb", bytes * 1e-6);
  json.Add("ingest.ratio_while_scraped", Median(ratios));
  json.Add("ingest.ratio_while_scraped_without_pause",
           Median(ratios_without_pause));
  for (const auto& run : live) run->Leave();
  return json.WriteIfAsked(argc, argv) ? 0 : 1;
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) { return muster::bench::Main(argc, argv); }
