// Whatever bytes a sender writes, the daemon refuses or takes them and goes
// on. The input is a sequence of messages: two bytes of length (little endian)
// and so many bytes; a length of 0 lets 20 seconds pass.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "daemon/ingest/run_sink.h"
#include "daemon/ingest/session.h"
#include "tests/testing/fake_clock.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace muster;
  google::protobuf::SetLogHandler(nullptr);
  testing::FakeClock clock;
  runs::DaemonCounters counters;
  runs::Registry registry(
      {.max_runs = 4, .worker_threads = 1}, clock.clock(),
      [](const std::string& run, const alert::Alert& alert) {
        alert::LogLine(run, alert);
      });
  ingest::RunSink sink(registry, counters);
  auto outbox = std::make_shared<ingest::Outbox>([] {});
  ingest::Session session({.max_world_size = 64, .max_sources_per_stream = 16},
                          sink, counters, outbox);
  while (size >= 2) {
    size_t length = data[0] | data[1] << 8;
    data += 2;
    size -= 2;
    if (length == 0) {
      clock.Advance(absl::Seconds(20));
      registry.Tick();
      continue;
    }
    length = length < size ? length : size;
    v1::ClientMessage message;
    if (message.ParseFromArray(data, static_cast<int>(length))) {
      session.Take(message);
    }
    data += length;
    size -= length;
  }
  session.Close();
  registry.Drain();
  registry.Snapshots();
  while (outbox->Take().message) {
  }
  return 0;
}
