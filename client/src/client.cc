#include "muster/client.h"

#include <sys/random.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <utility>

#include "client/src/address.h"
#include "client/src/client_impl.h"
#include "client/src/client_status.h"
#include "client/src/device_sketch.h"
#include "client/src/facts.h"
#include "client/src/fork_count.h"
#include "client/src/http2_transport.h"
#include "client/src/mutex.h"
#include "client/src/report_ring.h"
#include "client/src/sender.h"
#include "client/src/step_recorder.h"

namespace muster {
namespace {

// Room of an encoded report beside its sketch, without sample ids.
constexpr size_t kReportOverheadBytes = 160;

// Never 0, which the wire contract keeps free.
uint64_t RandomNumber() {
  uint64_t number = 0;
  if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
    number = static_cast<uint64_t>(
        std::chrono::system_clock::now().time_since_epoch().count());
    number ^= static_cast<uint64_t>(getpid()) << 40;
  }
  return number == 0 ? 1 : number;
}

// All that a client owns. A forked child never touches or frees its copy: locks
// may be held in it, and the thread and the connection are the parent's.
struct Parts {
  Parts(const Options& options, TransportFactory transport, Clock clock)
      : status(options.facts),
        ring(options.ring_capacity,
             size_t{2} * options.sketch.width + kReportOverheadBytes),
        device(options.sketch),
        recorder(options.sketch, &device, &status),
        sender(options, RandomNumber(), &ring, &device, &status,
               std::move(transport), std::move(clock), RandomNumber()) {}

  ClientStatus status;
  ReportRing ring;
  DeviceSketch device;
  Mutex step_mutex;
  StepRecorder recorder ABSL_GUARDED_BY(step_mutex);
  Mutex facts_mutex;  // orders writers of facts
  Sender sender;      // last: its thread uses the others
};

class LiveClient final : public Client {
 public:
  LiveClient(const Options& options, TransportFactory transport, Clock clock)
      : forks_(CountedForks()),
        parts_(std::make_unique<Parts>(options, std::move(transport),
                                       std::move(clock))) {}

  ~LiveClient() override {
    if (Forked()) {
      (void)parts_.release();
    } else {
      Stop();
    }
  }

  void Observe(uint64_t offset, const void* data, size_t count,
               DataType type) override {
    if (Inert() || data == nullptr) return;
    try {
      const auto now = std::chrono::steady_clock::now();
      MutexLock lock(parts_->step_mutex);
      parts_->recorder.Observe(offset, data, count, type, now);
    } catch (...) {
      // Out of memory: the report is the poorer for it, training is not.
    }
  }

  bool ObserveDevice(uint64_t offset, const void* data, size_t count,
                     DataType type, const DeviceStream& where) override {
    if (Inert() || data == nullptr) return true;
    try {
      MutexLock lock(parts_->step_mutex);
      return parts_->recorder.ObserveDevice(offset, data, count, type, where);
    } catch (...) {
      return true;  // out of memory, as above
    }
  }

  void ObserveParameters(uint32_t group, uint64_t offset, const void* data,
                         size_t count, DataType type) override {
    if (Inert() || data == nullptr) return;
    try {
      MutexLock lock(parts_->step_mutex);
      parts_->recorder.ObserveParameters(group, offset, data, count, type);
    } catch (...) {
      // As above.
    }
  }

  void ObserveChange(uint64_t offset, const void* data, size_t count,
                     DataType type) override {
    if (Inert() || data == nullptr) return;
    try {
      MutexLock lock(parts_->step_mutex);
      parts_->recorder.ObserveChange(offset, data, count, type);
    } catch (...) {
      // As above.
    }
  }

  void EndStep(const StepEnd& end) override {
    if (Inert()) return;
    try {
      {
        MutexLock lock(parts_->step_mutex);
        if (end.step > kMaxStep) {
          parts_->recorder.GiveUpStep();
          return;
        }
        std::unique_ptr<Report> report = parts_->ring.Borrow();
        report->facts = parts_->status.facts();
        parts_->recorder.EndStep(
            end, parts_->ring.next_sequence(), std::chrono::system_clock::now(),
            std::chrono::steady_clock::now(), report.get());
        parts_->ring.Push(std::move(report));
      }
      parts_->sender.Wake();
    } catch (...) {
      // Out of memory: this step has no report.
    }
  }

  void DiscardStep() override {
    if (Inert()) return;
    MutexLock lock(parts_->step_mutex);
    parts_->recorder.GiveUpStep();
  }

  bool SetFacts(const Facts& facts, std::string* error) override {
    if (Inert()) return true;
    try {
      MutexLock lock(parts_->facts_mutex);
      const std::shared_ptr<const Facts> known = parts_->status.facts();
      auto merged = std::make_shared<Facts>(*known);
      bool changed = false;
      for (const auto& [name, fact] : facts) {
        const auto [place, added] = merged->try_emplace(name, fact);
        changed = changed || added || place->second.value != fact.value ||
                  place->second.shown_only != fact.shown_only;
        place->second = fact;
      }
      *error = ValidateFacts(*merged);
      if (!error->empty()) return false;
      if (changed) parts_->status.set_facts(std::move(merged));
      return true;
    } catch (const std::exception& exception) {
      *error = std::string("facts: ") + exception.what();
      return false;
    }
  }

  std::vector<Alert> Alerts() const override {
    if (Inert()) return {};
    try {
      return parts_->status.alerts();
    } catch (...) {
      return {};
    }
  }

  uint64_t AlertsGeneration() const override {
    return Forked() ? 0 : parts_->status.alerts_generation();
  }

  Stats GetStats() const override {
    if (Forked()) return {};
    const ReportRing::Counts counts = parts_->ring.counts();
    const ClientStatus& status = parts_->status;
    const uint64_t streams = status.streams;
    return {.made = counts.made,
            .sent = status.sent,
            .acknowledged = counts.acknowledged,
            .dropped = counts.dropped,
            .queued = counts.queued,
            .refused = status.refused,
            .reconnects = streams > 0 ? streams - 1 : 0,
            .device_dropped = status.device_dropped,
            .connected = status.connected,
            .superseded = status.superseded};
  }

  void Stop() override {
    if (Forked()) return;
    stopped_ = true;
    try {
      parts_->sender.Stop();
    } catch (...) {
      // A thread that cannot be joined has ended.
    }
  }

 private:
  static uint32_t CountedForks() {
    CountForks();
    return ForkCount();
  }
  bool Forked() const { return ForkCount() != forks_; }
  // Comes before any lock: in a forked child one may be held for ever.
  bool Inert() const { return Forked() || stopped_ || parts_->status.silent; }

  const uint32_t forks_;  // that led to the process it was started in
  std::atomic<bool> stopped_ = false;
  std::unique_ptr<Parts> parts_;
};

// Without an address.
class IdleClient : public Client {
 public:
  void Observe(uint64_t, const void*, size_t, DataType) override {}
  bool ObserveDevice(uint64_t, const void*, size_t, DataType,
                     const DeviceStream&) override {
    return true;
  }
  void ObserveParameters(uint32_t, uint64_t, const void*, size_t,
                         DataType) override {}
  void ObserveChange(uint64_t, const void*, size_t, DataType) override {}
  void EndStep(const StepEnd&) override {}
  void DiscardStep() override {}
  bool SetFacts(const Facts& facts, std::string* error) override {
    *error = ValidateFacts(facts);
    return error->empty();
  }
  std::vector<Alert> Alerts() const override { return {}; }
  uint64_t AlertsGeneration() const override { return 0; }
  Stats GetStats() const override { return {}; }
  void Stop() override {}
};

}  // namespace

std::unique_ptr<Client> StartClient(const Options& options,
                                    TransportFactory transport, Clock clock,
                                    std::string* error) {
  try {
    *error = "";
    if (options.address.empty()) return std::make_unique<IdleClient>();
    *error = options.Validate();
    if (!error->empty()) return nullptr;
    return std::make_unique<LiveClient>(options, std::move(transport),
                                        std::move(clock));
  } catch (const std::exception& exception) {
    *error = std::string("cannot start: ") + exception.what();
    return nullptr;
  }
}

std::unique_ptr<Client> Client::Start(const Options& options,
                                      std::string* error) {
  Address address;
  if (!options.address.empty() &&
      !ParseAddress(options.address, &address, error)) {
    return nullptr;
  }
  // The environment is read here, on a thread of the host's: it may change its
  // variables while the sender thread runs.
  TlsFiles files = TlsFiles::FromEnvironment();
  if (!options.ca_file.empty()) files.ca = options.ca_file;
  if (!options.cert_file.empty()) files.certificate = options.cert_file;
  if (!options.key_file.empty()) files.key = options.key_file;
  if (!options.token_file.empty()) files.token = options.token_file;
  if (!options.address.empty() && !files.token.empty() &&
      !KeepsSecrets(address)) {
    *error =
        "token_file (MUSTER_TOKEN_FILE): a token is not sent in the clear "
        "to " +
        options.address + "; write tls://" + options.address;
    return nullptr;
  }
  return StartClient(
      options, [address, files] { return MakeHttp2Transport(address, files); },
      [] { return std::chrono::steady_clock::now(); }, error);
}

const char* Version() { return MUSTER_VERSION; }

}  // namespace muster
