#include "daemon/grpc_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>

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

}  // namespace

GrpcListener::GrpcListener() = default;
GrpcListener::~GrpcListener() = default;

absl::StatusOr<std::unique_ptr<GrpcListener>> GrpcListener::Create(
    const std::string& addresses, int socket_mode,
    const std::vector<grpc::Service*>& services, const identity::Gate& gate) {
  gpr_set_log_function(LogForGrpc);
  grpc::ServerBuilder builder;
  const std::vector<std::string> wanted = SplitAddresses(addresses);
  std::deque<int> ports;  // of stable address
  std::unique_ptr<GrpcListener> listener(new GrpcListener);
  for (const std::string& address : wanted) {
    if (absl::StartsWith(address, kUnix)) {
      const absl::Status status = MakePlaceForSocket(address);
      if (!status.ok()) return status;
    }
    listener->credentials_.push_back(
        identity::ServerCredentials(gate, address));
    builder.AddListeningPort(address, listener->credentials_.back(),
                             &ports.emplace_back(0));
  }
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             kHandshakeMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMaxStreamsOfConnection);
  builder.SetMaxReceiveMessageSize(ingest::kMaxMessageBytes);
  // Without this, two daemons could share a port and each see half a run.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  for (grpc::Service* service : services) builder.RegisterService(service);
  listener->server_ = builder.BuildAndStart();
  if (listener->server_ == nullptr) {
    return CannotListen(addresses, "it is in use or not this machine's");
  }
  std::vector<std::string> bound;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string& address = wanted[i];
    if (!absl::StartsWith(address, kUnix)) {
      bound.push_back(
          absl::StrCat(address.substr(0, address.rfind(':')), ":", ports[i]));
      continue;
    }
    bound.push_back(address);
    const std::string path = address.substr(kUnix.size());
    if (::chmod(path.c_str(), static_cast<mode_t>(socket_mode)) != 0) {
      return CannotListen(address, std::strerror(errno));
    }
  }
  listener->addresses_ = absl::StrJoin(bound, ",");
  return listener;
}

void GrpcListener::Shutdown(absl::Duration grace) {
  server_->Shutdown(std::chrono::system_clock::now() +
                    absl::ToChronoMilliseconds(grace));
}

}  // namespace muster
