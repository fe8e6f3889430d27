// musterd: the Muster daemon.
#include <malloc.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "daemon/base/clock.h"
#include "daemon/command_line.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/relay_server.h"
#include "daemon/server.h"
#include "systemd/sd-daemon.h"

namespace muster {
namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "musterd: %s\n", std::string(status.message()).c_str());
  return 1;
}

// Renamed into place, so that a reader never sees half a file.
template <typename Server>
absl::Status WritePortsFile(const std::string& path, const Server& server) {
  const std::string draft = path + ".new";
  std::ofstream file(draft);
  file << R"({"grpc":")" << server.grpc_address() << R"(","http":")"
       << server.http_address() << "\"}\n";
  file.close();
  if (!file || std::rename(draft.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

void WarnOfExposure(const Config& config) {
  const identity::Options& identity = config.identity;
  const bool authenticates = !identity.auth.tokens_file.empty() ||
                             !identity.tls.client_ca_file.empty();
  const auto warn = [&](const std::string& address, bool tls) {
    if (IsLoopback(address) || (tls && authenticates)) return;
    Log(LogLevel::kWarning,
        absl::StrCat(address, " is reachable from other machines, without ",
                     tls             ? "authentication"
                     : authenticates ? "encryption: tokens can be overheard"
                                     : "encryption or authentication"));
  };
  warn(config.grpc_address, identity.tls.enabled());
  warn(config.http_address, identity.tls.enabled() && identity.tls.http);
}

// What a burst of reports frees, the next one needs: by default the C library
// gives it back to the kernel each time, which then has to clear it again, at
// an eighth of the daemon's processor time under load. So up to this much stays
// with each of the library's arenas.
void KeepFreedMemory() {
#ifdef __GLIBC__
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
#endif
}

template <typename Server>
void Reload(int argc, char** argv, Server& server) {
  const auto parsed = ParseCommandLine(argc, argv, std::getenv);
  if (!parsed.ok()) {
    Log(LogLevel::kError, absl::StrCat("configuration not reloaded: ",
                                       std::string(parsed.status().message())));
    return;
  }
  ConfigureLog(parsed->config.log_level, parsed->config.log_format);
  server.Reconfigure(parsed->config);
  Log(LogLevel::kInfo,
      "configuration reloaded: logging and auth.rules at once, frames, "
      "detection and alerts for runs that begin from now on; addresses, "
      "limits, "
      "files of tls and auth, and sinks need a restart");
}

// Until a signal says that it is time to stop.
template <typename Server>
int Serve(const Config& config, const sigset_t& signals, int argc,
          char** argv) {
  auto server = Server::Create(config, Clock::System());
  if (!server.ok()) return Fail(server.status());
  if (!config.ports_file.empty()) {
    if (const absl::Status status = WritePortsFile(config.ports_file, **server);
        !status.ok()) {
      return Fail(status);
    }
  }
  Log(LogLevel::kInfo,
      absl::StrCat("musterd ", DaemonVersion(), " listens: gRPC ",
                   (*server)->grpc_address(), ", HTTP ",
                   (*server)->http_address()));
  WarnOfExposure(config);

  // Under systemd, to which this is no more than a word, it is up from here on.
  sd_notifyf(0, "READY=1\nSTATUS=gRPC %s, HTTP %s",
             (*server)->grpc_address().c_str(),
             (*server)->http_address().c_str());

  for (;;) {
    int number = 0;
    sigwait(&signals, &number);
    if (number != SIGHUP) {
      Log(LogLevel::kInfo, absl::StrCat(strsignal(number), ": draining"));
      sd_notify(0, "STOPPING=1");
      break;
    }
    Reload(argc, argv, **server);
  }
  // Gone before the log is: gRPC may have a last word.
  server->reset();
  Log(LogLevel::kInfo, "stopped");
  FlushLog();
  return 0;
}

int Main(int argc, char** argv) {
  KeepFreedMemory();
  // Before any thread starts, so that all inherit the mask.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&signals, number);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const auto parsed = ParseCommandLine(argc, argv, std::getenv);
  if (!parsed.ok()) return Fail(parsed.status());
  if (parsed->output) {
    std::fputs(parsed->output->c_str(), stdout);
    return 0;
  }
  const Config& config = parsed->config;
  if (const absl::Status status = PrepareDataDir(config.data_dir);
      !status.ok()) {
    return Fail(status);
  }
  ConfigureLog(config.log_level, config.log_format);
  return config.relay.upstream.empty()
             ? Serve<Server>(config, signals, argc, argv)
             : Serve<RelayServer>(config, signals, argc, argv);
}

}  // namespace
}  // namespace muster

int main(int argc, char** argv) { return muster::Main(argc, argv); }
