#include "daemon/grpc_listener.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/config.h"
#include "daemon/identity/grpc_server.h"
#include "daemon/ingest/validate.h"
#include "daemon/log.h"
#include "grpc/support/log.h"
#include "grpcpp/grpcpp.h"

namespace muster {
namespace {

constexpr absl::string_view kUnix = "unix:";

// For TLS and HTTP/2 of a new connection; without a call on it; calls at once.
constexpr int kHandshakeMs = 10'000;
constexpr int kIdleMs = 300'000;
constexpr int kMaxStreamsOfConnection = 1024;
// On its way from a distant relay, in a round trip; beside a message that is
// being read.
constexpr int kUnreadBytesOfStream = 256 << 10;
// HTTP has up to 512; and the history, sinks and relay's upstream.
constexpr rlim_t kOtherFiles = 1024;

// What gRPC has to say is for developers: its errors reach people as ours.
void LogForGrpc(gpr_log_func_args* args) {
  Log(LogLevel::kDebug, absl::StrCat("gRPC: ", args->message));
}

absl::Status CannotListen(const std::string& address, const std::string& why) {
  return absl::UnavailableError(
      absl::StrCat("cannot listen on gRPC address ", address, ": ", why));
}

// Removes a socket file that a killed daemon has left. gRPC would take the
// place of one that lives, too.
absl::Status MakePlaceForSocket(const std::string& address) {
  const std::string path = address.substr(kUnix.size());
  struct stat found;
  if (::lstat(path.c_str(), &found) != 0) return absl::OkStatus();
  if (!S_ISSOCK(found.st_mode)) {
    return CannotListen(address, "there is a file that is no socket");
  }
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof(name.sun_path) - 1);
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool refused =
      probe >= 0 &&
      ::connect(probe, reinterpret_cast<const sockaddr*>(&name),
                sizeof(name)) != 0 &&
      errno == ECONNREFUSED;
  if (probe >= 0) ::close(probe);
  if (!refused) return CannotListen(address, "another process listens there");
  ::unlink(path.c_str());
  return absl::OkStatus();
}

void SetLimits(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             kHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMaxStreamsOfConnection);
  builder.SetMaxReceiveMessageSize(ingest::kMaxMessageBytes);
  // Else gRPC offers 4 MiB to each stream, read or not.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES,
                             kUnreadBytesOfStream);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
}

// Connections must leave file descriptors for all else. Raises the process's
// limit as far as it may.
listen::ConnectionLimits WithinFiles(listen::ConnectionLimits limits) {
  rlimit files = {};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return limits;
  const rlim_t wanted = static_cast<rlim_t>(limits.total) + kOtherFiles;
  if (files.rlim_cur < wanted) {
    files.rlim_cur = std::min(files.rlim_max, wanted);
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::getrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur >= wanted) return limits;
  const rlim_t others = std::min(kOtherFiles, files.rlim_cur / 2);
  limits.total = static_cast<int>(files.rlim_cur - others);
  Log(LogLevel::kWarning,
      absl::StrCat("the limit of open files (", files.rlim_cur,
                   ") leaves room for ", limits.total,
                   " connections, fewer than limits.max_connections"));
  return limits;
}

}  // namespace

GrpcListener::GrpcListener(const listen::ConnectionLimits& limits,
                           const Clock& clock)
    : limit_(limits, listen::ConnectionLimit::InodeOf,
             [](const std::string& line) { Log(LogLevel::kWarning, line); }),
      acceptor_(limit_, clock.monotonic) {}

GrpcListener::~GrpcListener() = default;

absl::StatusOr<std::unique_ptr<GrpcListener>> GrpcListener::Create(
    const std::string& addresses, int socket_mode,
    const std::vector<grpc::Service*>& services, const identity::Gate& gate,
    const listen::ConnectionLimits& limits, const Clock& clock) {
  gpr_set_log_function(LogForGrpc);
  const std::vector<std::string> wanted_addresses = SplitAddresses(addresses);
  const bool tcp = !std::all_of(
      wanted_addresses.begin(), wanted_addresses.end(),
      [](const std::string& each) { return absl::StartsWith(each, kUnix); });
  std::unique_ptr<GrpcListener> listener(
      new GrpcListener(tcp ? WithinFiles(limits) : limits, clock));
  grpc::ServerBuilder builder;
  std::vector<std::string> bound;
  std::vector<std::string> sockets;  // addresses
  std::vector<std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor>>
      takers;  // by TCP address
  for (const std::string& address : wanted_addresses) {
    listener->credentials_.push_back(
        identity::ServerCredentials(gate, address));
    if (absl::StartsWith(address, kUnix)) {
      const absl::Status status = MakePlaceForSocket(address);
      if (!status.ok()) return status;
      builder.AddListeningPort(address, listener->credentials_.back());
      sockets.push_back(address);
      bound.push_back(address);
      continue;
    }
    const HostPort wanted = SplitHostPort(address);
    const auto port = listener->acceptor_.Listen(wanted.host, wanted.port);
    if (!port.ok()) {
      return CannotListen(address, std::string(port.status().message()));
    }
    takers.push_back(builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        listener->credentials_.back()));
    bound.push_back(
        absl::StrCat(address.substr(0, address.rfind(':')), ":", *port));
  }
  SetLimits(builder);
  for (grpc::Service* service : services) builder.RegisterService(service);
  listener->server_ = builder.BuildAndStart();
  if (listener->server_ == nullptr) {
    // All that it still had to do is to bind the Unix sockets.
    return CannotListen(
        sockets.empty() ? addresses : absl::StrJoin(sockets, ","),
        sockets.empty() ? "gRPC did not start" : "no socket can be made there");
  }
  for (const std::string& address : sockets) {
    const std::string path = address.substr(kUnix.size());
    if (::chmod(path.c_str(), static_cast<mode_t>(socket_mode)) != 0) {
      return CannotListen(address, std::strerror(errno));
    }
  }
  listener->acceptor_.Start(
      [takers = std::make_shared<decltype(takers)>(std::move(takers))](
          size_t address, int from, int descriptor) {
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters
            connection;
        connection.listener_fd = from;
        connection.fd = descriptor;
        (*takers)[address]->HandleNewConnection(&connection);
      });
  listener->addresses_ = absl::StrJoin(bound, ",");
  return listener;
}

void GrpcListener::Shutdown(absl::Duration grace) {
  acceptor_.Stop();
  server_->Shutdown(std::chrono::system_clock::now() +
                    absl::ToChronoMilliseconds(grace));
}

}  // namespace muster
