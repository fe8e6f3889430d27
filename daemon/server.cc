#include "daemon/server.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "daemon/base/mutex.h"
#include "daemon/command_line.h"
#include "daemon/export/families.h"
#include "daemon/grpc_listener.h"
#include "daemon/history/frame_reader.h"
#include "daemon/history/lock_file.h"
#include "daemon/history/reader.h"
#include "daemon/history/writer.h"
#include "daemon/http_listener.h"
#include "daemon/identity/gate.h"
#include "daemon/identity/grpc_server.h"
#include "daemon/ingest/run_sink.h"
#include "daemon/ingest/service.h"
#include "daemon/log.h"
#include "daemon/page/page.h"
#include "daemon/run_options.h"
#include "daemon/runs/registry.h"
#include "daemon/sinks/remote_write/remote_write.h"
#include "daemon/sinks/sinks.h"
#include "daemon/web/frame_cache.h"
#include "daemon/web/http_server.h"
#include "daemon/web/query_service.h"

namespace muster {
namespace {

// Resolution of all times that detection and frames wait for.
constexpr std::chrono::milliseconds kTickInterval{200};
// How long streams may take to end by themselves.
constexpr absl::Duration kStreamGrace = absl::Milliseconds(500);

// How long a question to the history waits for those before it.
constexpr std::chrono::seconds kHistoryPatience{5};

runs::Registry::Options ToRegistryOptions(const Config& config) {
  return {.run = ToRunOptions(config),
          .max_runs = config.limits.max_runs,
          .worker_threads = 2,
          .keep_ended = config.keep_ended,
          .keep_silent = config.keep_silent};
}

void LogSink(bool failing, const std::string& line) {
  Log(failing ? LogLevel::kWarning : LogLevel::kInfo,
      absl::StrCat("sink: ", line));
}

// Null if there is no folder. Sinks keep what waits there, history or not.
absl::StatusOr<std::unique_ptr<history::LockFile>> LockFolder(
    const Config& config) {
  if (config.data_dir.empty()) return nullptr;
  return history::LockFile::Take(config.data_dir + "/musterd.lock");
}

// Null if the configuration asks for none.
absl::StatusOr<std::unique_ptr<history::Writer>> OpenHistory(
    const Config& config, const Clock& clock) {
  if (config.data_dir.empty() || !config.history.enabled) return nullptr;
  return history::Writer::Open(
      config.data_dir + "/history.db", config.history, clock.wall,
      [](bool failing, const std::string& line) {
        Log(failing ? LogLevel::kError : LogLevel::kInfo, line);
      });
}

using sinks::remote_write::RemoteWrite;

// Null if the configuration names no receiver. Before the history is written.
absl::StatusOr<std::unique_ptr<RemoteWrite>> OpenRemoteWrite(
    const Config& config, const history::Writer* history, const Clock& clock) {
  if (config.remote_write.endpoint.url.empty()) return nullptr;
  return RemoteWrite::Create(
      config.remote_write, history == nullptr ? "" : history->path(), clock,
      [](bool failing, const std::string& line) {
        Log(failing ? LogLevel::kWarning : LogLevel::kInfo, line);
      });
}

runs::StepObserver StepsTo(RemoteWrite* remote_write) {
  if (remote_write == nullptr) return {};
  return [remote_write](const std::string& run, const runs::JudgedStep& step) {
    remote_write->Take(run, step.history_run, step.position, step.wall,
                       step.measures.get());
  };
}

}  // namespace

class Server::Impl {
 public:
  Impl(const Config& config, Clock clock, std::unique_ptr<identity::Gate> gate,
       std::unique_ptr<history::LockFile> folder_lock,
       std::unique_ptr<RemoteWrite> remote_write,
       std::unique_ptr<history::Writer> history)
      : clock_(std::move(clock)),
        metrics_keep_ended_(config.metrics_keep_ended),
        gate_(std::move(gate)),
        grpc_insecure_(!IsLoopback(config.grpc_address) &&
                       gate_->tls() == nullptr),
        http_insecure_(!IsLoopback(config.http_address) &&
                       !(gate_->tls() != nullptr && config.identity.tls.http)),
        folder_lock_(std::move(folder_lock)),
        remote_write_(std::move(remote_write)),
        history_(std::move(history)),
        sinks_(config.sinks, config.data_dir, clock_, MakeAlertLookup(),
               LogSink),
        registry_(ToRegistryOptions(config), clock_, MakeAlertObserver(),
                  history_.get(), StepsTo(remote_write_.get())),
        telemetry_(ingest::MakeTelemetryService(
            {.max_streams_per_peer = config.limits.max_streams_per_peer,
             .max_world_size = config.limits.max_world_size,
             .max_sources_per_stream = config.limits.max_sources_per_stream},
            run_sink_, counters_, gate_.get(),
            [this](const std::string& run, uint32_t rank,
                   uint64_t incarnation) {
              registry_.Post(run, runs::ClaimRefused{rank, incarnation});
            },
            clock_.monotonic)),
        query_(web::MakeQueryService(MakeSource(), gate_.get())) {}

  absl::Status Start(const Config& config) {
    ResumeRuns();
    sinks_.Start();
    auto grpc = GrpcListener::Create(
        config.grpc_address, config.socket_mode,
        {telemetry_.get(), query_.get()}, *gate_,
        {config.limits.max_connections_per_peer, config.limits.max_connections},
        clock_);
    if (!grpc.ok()) return grpc.status();
    grpc_ = *std::move(grpc);
    grpc_address_ = grpc_->addresses();
    auto http = ListenOverHttp(config.http_address, MakeSource(), *gate_);
    if (!http.ok()) return http.status();
    http_ = std::move(http->server);
    http_address_ = std::move(http->address);
    gate_->Watch();
    ticker_ = std::thread([this] { TickUntilStopped(); });
    ready_ = true;
    return absl::OkStatus();
  }

  void Shutdown() {
    ready_ = false;
    {
      MutexLock lock(mutex_);
      if (std::exchange(stopping_, true)) return;
    }
    stopped_.notify_all();
    if (ticker_.joinable()) ticker_.join();
    if (grpc_) grpc_->Shutdown(kStreamGrace);
    registry_.Drain();
    if (history_) history_->Stop();
    sinks_.Stop();
    if (remote_write_) remote_write_->Stop();
    if (http_) http_->Stop();
  }

  const std::string& grpc_address() const { return grpc_address_; }
  const std::string& http_address() const { return http_address_; }
  runs::Registry& registry() { return registry_; }
  identity::Gate& gate() { return *gate_; }

 private:
  // Goes on with the runs of the daemon before this one.
  void ResumeRuns() {
    if (!history_) return;
    const auto failed = [](const std::string& run, const absl::Status& why) {
      Log(LogLevel::kError,
          absl::StrCat("history: cannot go on with run '", run,
                       "': ", std::string(why.message())));
    };
    const auto reader = history::Reader::Open(history_->path());
    if (!reader.ok()) {
      failed("", reader.status());
      return;
    }
    const int resumed = registry_.Resume(**reader, failed);
    if (resumed > 0) {
      Log(LogLevel::kInfo,
          absl::StrCat("history: goes on with ", resumed, " runs"));
    }
    for (const auto& run : registry_.Snapshots()) {
      for (const alert::Alert& alert : run->alerts) {
        sinks_.Resume(run->run, alert);
      }
    }
  }

  runs::AlertObserver MakeAlertObserver() {
    return [this](const std::string& run, const alert::Alert& alert) {
      LogAlert(run, alert);
      sinks_.Take(run, alert);
    };
  }

  sinks::AlertLookup MakeAlertLookup() {
    return [this](const std::string& run,
                  uint64_t id) -> std::optional<alert::Alert> {
      const auto snapshot = registry_.Snapshot(run);
      if (snapshot == nullptr) return std::nullopt;
      for (const alert::Alert& alert : snapshot->alerts) {
        if (alert.id == id) return alert;
      }
      return std::nullopt;
    };
  }

  web::Source MakeSource() {
    web::Source source = {
        .snapshots = [this] { return registry_.Snapshots(); },
        .snapshot =
            [this](std::string_view run) { return registry_.Snapshot(run); },
        .metrics =
            [this](const web::RunFilter& shown) {
              auto runs = registry_.Snapshots();
              std::erase_if(runs,
                            [&](const auto& run) { return !shown(run->run); });
              return exposition::MetricsText(
                  {.runs = std::move(runs),
                   .now = clock_.monotonic(),
                   .keep_ended = metrics_keep_ended_,
                   .rejected = counters_.Rejected(),
                   .history = HistoryStats(),
                   .sinks = SinkSamples(),
                   .remote_write = RemoteWriteStats(),
                   .access = {gate_->stats(), grpc_insecure_, http_insecure_,
                              grpc_->connections()},
                   .process = exposition::ReadProcessStats(),
                   .version = DaemonVersion()});
            },
        .ready = [this] { return ready_.load(); },
        .frame_cache = frame_cache_,
        .page = page::Embedded(),
        .version = DaemonVersion(),
    };
    AddHistory(source);
    return source;
  }

  // Opens the file for each question: cheap, and right after a corrupt file
  // has made place for a new one.
  template <typename File, typename Ask>
  auto AskHistory(const Ask& ask) -> decltype(ask(std::declval<File&>())) {
    if (!history_readers_.try_acquire_for(kHistoryPatience)) {
      return absl::UnavailableError("too many questions to the history");
    }
    const absl::Cleanup release = [this] { history_readers_.release(); };
    const auto file = File::Open(history_->path());
    if (!file.ok()) return file.status();
    return ask(**file);
  }

  void AddHistory(web::Source& source) {
    if (!history_) return;
    source.stored_frames = [this](const history::FrameQuery& query) {
      return AskHistory<history::FrameReader>(
          [&](const history::FrameReader& file) {
            return file.Current(query);
          });
    };
    source.stored_entries = [this](int64_t run, uint64_t position,
                                   const auto& take) {
      return AskHistory<history::Reader>([&](const history::Reader& file) {
        return file.ReadEntries(run, position, history::Reader::kEnd,
                                history::What::kFrames, take);
      });
    };
  }

  std::optional<history::WriterStats> HistoryStats() const {
    if (!history_) return std::nullopt;
    return history_->stats();
  }

  std::vector<exposition::SinkSample> SinkSamples() const {
    std::vector<exposition::SinkSample> samples;
    for (const sinks::CourierStats& each : sinks_.stats()) {
      samples.push_back({each.sink, each.receiver, each.up, each.held,
                         each.sent, each.failed, each.dropped});
    }
    return samples;
  }

  std::optional<sinks::remote_write::Stats> RemoteWriteStats() const {
    if (!remote_write_) return std::nullopt;
    return remote_write_->stats();
  }

  void TickUntilStopped() {
    while (WaitForTick()) registry_.Tick();
  }

  // False when it is time to stop.
  bool WaitForTick() {
    MutexLock lock(mutex_);
    if (!stopping_) stopped_.wait_for(mutex_, kTickInterval);
    return !stopping_;
  }

  const Clock clock_;
  const absl::Duration metrics_keep_ended_;
  const std::unique_ptr<identity::Gate> gate_;
  const bool grpc_insecure_;
  const bool http_insecure_;
  runs::DaemonCounters counters_;
  // Until all that write there have ended.
  const std::unique_ptr<history::LockFile> folder_lock_;
  const std::unique_ptr<RemoteWrite> remote_write_;
  const std::unique_ptr<history::Writer> history_;
  // Reading must not take the processors from judging.
  std::counting_semaphore<> history_readers_{1};
  const std::shared_ptr<web::FrameCache> frame_cache_ =
      std::make_shared<web::FrameCache>(web::FrameCache::Options());
  sinks::Sinks sinks_;
  runs::Registry registry_;
  ingest::RunSink run_sink_{registry_, counters_};
  const std::unique_ptr<grpc::Service> telemetry_;
  const std::unique_ptr<grpc::Service> query_;
  std::unique_ptr<GrpcListener> grpc_;
  std::unique_ptr<web::HttpServer> http_;
  std::string grpc_address_;
  std::string http_address_;
  std::atomic<bool> ready_{false};
  std::thread ticker_;

  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Shutdown(); }

absl::StatusOr<std::unique_ptr<Server>> Server::Create(const Config& config,
                                                       Clock clock) {
  auto gate = identity::Gate::Create(
      config.identity, clock, [](bool failing, const std::string& line) {
        Log(failing ? LogLevel::kWarning : LogLevel::kInfo, line);
      });
  if (!gate.ok()) return gate.status();
  auto folder_lock = LockFolder(config);
  if (!folder_lock.ok()) return folder_lock.status();
  auto history = OpenHistory(config, clock);
  if (!history.ok()) return history.status();
  auto remote_write = OpenRemoteWrite(config, history->get(), clock);
  if (!remote_write.ok()) return remote_write.status();
  auto impl = std::make_unique<Impl>(
      config, std::move(clock), *std::move(gate), *std::move(folder_lock),
      *std::move(remote_write), *std::move(history));
  absl::Status status = impl->Start(config);
  std::unique_ptr<Server> server(new Server(std::move(impl)));
  if (!status.ok()) return status;
  return server;
}

const std::string& Server::grpc_address() const {
  return impl_->grpc_address();
}

const std::string& Server::http_address() const {
  return impl_->http_address();
}

void Server::Reconfigure(const Config& config) {
  impl_->registry().Reconfigure(ToRunOptions(config));
  const absl::Status status =
      impl_->gate().SetRules(config.identity.auth.rules);
  if (!status.ok()) {
    Log(LogLevel::kError, absl::StrCat("auth.rules stay as they were: ",
                                       std::string(status.message())));
  }
}

void Server::Shutdown() { impl_->Shutdown(); }

}  // namespace muster
