#include "daemon/relay_server.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/command_line.h"
#include "daemon/export/relay_families.h"
#include "daemon/grpc_listener.h"
#include "daemon/http_listener.h"
#include "daemon/identity/gate.h"
#include "daemon/ingest/service.h"
#include "daemon/log.h"
#include "daemon/relay/grpc_upstream.h"
#include "daemon/relay/relay.h"
#include "daemon/web/http_server.h"

namespace muster {
namespace {

// How long ranks' streams may take to end by themselves.
constexpr absl::Duration kStreamGrace = absl::Milliseconds(500);

relay::Options ToRelayOptions(const Config& config) {
  relay::Options options = config.relay;
  options.max_runs = config.limits.max_runs;
  options.max_sources = config.limits.max_sources_per_stream;
  return options;
}

// "upstream 10.0.0.1:7600 is away since 2026-01-02T03:04:05Z: Connection
// refused": what there is to say of it, in a line.
std::string DescribeUpstream(const relay::Stats& stats) {
  std::string text = absl::StrCat(
      "upstream ", stats.upstream, ": ",
      relay::kUpstreamStates[static_cast<size_t>(stats.status.state)],
      " since ",
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", stats.status.since,
                       absl::UTCTimeZone()));
  if (!stats.status.last_error.empty()) {
    absl::StrAppend(&text, "; last error: ", stats.status.last_error);
  }
  return text;
}

}  // namespace

class RelayServer::Impl {
 public:
  Impl(const Config& config, Clock clock, std::unique_ptr<identity::Gate> gate,
       std::unique_ptr<relay::Upstream> upstream)
      : clock_(clock),
        gate_(std::move(gate)),
        grpc_insecure_(!IsLoopback(config.grpc_address) &&
                       gate_->tls() == nullptr),
        http_insecure_(!IsLoopback(config.http_address) &&
                       !(gate_->tls() != nullptr && config.identity.tls.http)),
        relay_(ToRelayOptions(config), std::move(clock), std::move(upstream),
               relay::RandomId(),
               [](bool failing, const std::string& line) {
                 Log(failing ? LogLevel::kWarning : LogLevel::kInfo, line);
               }),
        telemetry_(ingest::MakeTelemetryService(
            {.max_streams_per_peer = config.limits.max_streams_per_peer,
             .max_world_size = config.limits.max_world_size,
             .max_sources_per_stream = config.limits.max_sources_per_stream},
            relay_, counters_, gate_.get(),
            // Upstream sees who claims a rank that another one has.
            [](const std::string&, uint32_t, uint64_t) {}, clock_.monotonic)) {}

  ~Impl() {
    ready_ = false;
    // The streams that end now are not their ranks' deaths.
    relay_.PrepareToStop();
    if (grpc_) grpc_->Shutdown(kStreamGrace);
    relay_.Stop();
    if (http_) http_->Stop();
  }

  absl::Status Start(const Config& config) {
    auto grpc = GrpcListener::Create(
        config.grpc_address, config.socket_mode, {telemetry_.get()}, *gate_,
        {config.limits.max_connections_per_peer, config.limits.max_connections},
        clock_);
    if (!grpc.ok()) return grpc.status();
    grpc_ = *std::move(grpc);
    auto http = ListenOverHttp(config.http_address, MakeSource(), *gate_);
    if (!http.ok()) return http.status();
    http_ = std::move(http->server);
    http_address_ = std::move(http->address);
    gate_->Watch();
    ready_ = true;
    return absl::OkStatus();
  }

  const std::string& grpc_address() const { return grpc_->addresses(); }
  const std::string& http_address() const { return http_address_; }

 private:
  web::Source MakeSource() {
    web::Source source;
    source.metrics = [this](const web::RunFilter&) {
      return exposition::RelayMetricsText(
          {.relay = relay_.stats(),
           .now = clock_.wall(),
           .rejected = counters_.Rejected(),
           .access = {gate_->stats(), grpc_insecure_, http_insecure_,
                      grpc_->connections()},
           .process = exposition::ReadProcessStats(),
           .version = DaemonVersion()});
    };
    source.ready = [this] { return ready_.load(); };
    source.relay = [this] { return DescribeUpstream(relay_.stats()); };
    source.version = DaemonVersion();
    return source;
  }

  const Clock clock_;
  const std::unique_ptr<identity::Gate> gate_;
  const bool grpc_insecure_;
  const bool http_insecure_;
  runs::DaemonCounters counters_;
  relay::Relay relay_;
  const std::unique_ptr<grpc::Service> telemetry_;
  std::unique_ptr<GrpcListener> grpc_;
  std::unique_ptr<web::HttpServer> http_;
  std::string http_address_;
  std::atomic<bool> ready_{false};
};

RelayServer::RelayServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

RelayServer::~RelayServer() = default;

absl::StatusOr<std::unique_ptr<RelayServer>> RelayServer::Create(
    const Config& config, Clock clock) {
  auto gate = identity::Gate::Create(
      config.identity, clock, [](bool failing, const std::string& line) {
        Log(failing ? LogLevel::kWarning : LogLevel::kInfo, line);
      });
  if (!gate.ok()) return gate.status();
  auto upstream = relay::MakeGrpcUpstream(config.relay);
  if (!upstream.ok()) return upstream.status();
  auto impl = std::make_unique<Impl>(config, std::move(clock), *std::move(gate),
                                     *std::move(upstream));
  absl::Status status = impl->Start(config);
  if (!status.ok()) return status;
  return std::unique_ptr<RelayServer>(new RelayServer(std::move(impl)));
}

const std::string& RelayServer::grpc_address() const {
  return impl_->grpc_address();
}

const std::string& RelayServer::http_address() const {
  return impl_->http_address();
}

}  // namespace muster
