// The daemon's configuration: defaults, the YAML file, and the way back.
#ifndef MUSTER_DAEMON_CONFIG_H_
#define MUSTER_DAEMON_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "daemon/alert/alert.h"
#include "daemon/detect/detector.h"
#include "daemon/frames/assembler.h"
#include "daemon/history/options.h"
#include "daemon/identity/options.h"
#include "daemon/relay/options.h"
#include "daemon/sinks/options.h"
#include "daemon/sinks/remote_write/options.h"

namespace muster {

enum class LogFormat { kText, kJson };

// One misbehaving run, rank or client must not take memory from the others.
struct Limits {
  // Runs followed at once; a newcomer above it is refused.
  int max_runs = 256;
  // Largest world size that a rank may state; each rank costs some 10 KiB.
  uint32_t max_world_size = 16384;
  // Sources that one stream may carry; more than one only through a relay.
  int max_sources_per_stream = 4096;
  // Streams that one address may have open; the relays and ranks of a node, or
  // all behind one address translation, share it.
  int max_streams_per_peer = 4096;
  // Connections to the gRPC addresses, Unix sockets aside, that one address may
  // have open, and all together.
  int max_connections_per_peer = 4096;
  int max_connections = 16384;
  // Bytes of messages queued for one run before its streams are not read.
  // Larger: longer bursts are absorbed; max_runs times this is the worst case.
  size_t queue_bytes = size_t{64} << 20;
};

struct Config {
  // Ranks and the `muster` command: HOST:PORT or unix:PATH, or several of them
  // with commas between; port 0 takes any. Loopback, because nobody has to say
  // who they are unless told to.
  std::string grpc_address = "127.0.0.1:7600";
  // Permission bits of Unix sockets. All users, since the containers of a pod
  // have different ones; the permissions of the socket's folder hold as well.
  int socket_mode = 0666;
  // Metrics, health and API: HOST:PORT.
  std::string http_address = "127.0.0.1:7601";
  // Folder for the history; empty: everything is kept in memory only.
  std::string data_dir;
  // trace, debug, info, warning, error or off.
  std::string log_level = "info";
  // Text for people, JSON for log collectors.
  LogFormat log_format = LogFormat::kText;
  // Where to write the bound addresses as {"grpc":"…","http":"…"} once both
  // are served; for callers that ask for port 0. Empty: nowhere.
  std::string ports_file;

  Limits limits;
  identity::Options identity;
  frames::AssemblerOptions frames;
  detect::DetectOptions detect;
  // A run to hold all runs against (reference_file.h), which LoadReference
  // reads into `detect`. Empty: none.
  std::string reference_file;
  alert::AlertOptions alerts;
  history::Options history;
  sinks::SinkOptions sinks;
  sinks::remote_write::Options remote_write;
  // With an upstream: this daemon is a relay.
  relay::Options relay;

  // How long an ended run is still shown. Longer: time to look at it; shorter:
  // fewer stale runs in lists.
  absl::Duration keep_ended = absl::Minutes(10);
  // How long a run without any connected source is kept. Longer: a stuck job
  // stays visible over the weekend; shorter: crashed runs are tidied up.
  // At the limit of runs a newcomer takes its place after `keep_ended`.
  absl::Duration keep_silent = absl::Hours(24);
  // How long an ended run keeps its series in /metrics. Longer: a scrape surely
  // sees the end and the last counts; shorter: fewer series.
  absl::Duration metrics_keep_ended = absl::Minutes(1);
};

// Overwrites what `yaml` sets. An unknown or repeated key, a wrong type and a
// value out of range are one line `NAME:LINE: key '…': …` that says what is
// allowed; `config` is then unchanged.
absl::Status ApplyYaml(const std::string& yaml, const std::string& name,
                       Config& config);

// Reads a file and applies it.
absl::Status ApplyYamlFile(const std::string& path, Config& config);

// Sets the field of that dotted key, such as "grpc_address", from text as it
// stands in YAML. The error names value and range, not where it came from.
absl::Status SetField(const std::string& key, const std::string& value,
                      Config& config);

// The whole configuration as commented YAML. ApplyYaml gives the same back, but
// for the paths of receivers' URLs, which may be secrets: they are left out,
// marked, and refused by ApplyYaml as they stand there.
std::string ToYaml(const Config& config);

// As ToYaml, without `sinks` and `remote_write`: all that a run is judged by,
// and nobody's address.
std::string ToJudgingYaml(const Config& config);

// Creates the folder if need be and checks that files can be written there. An
// empty path is fine.
absl::Status PrepareDataDir(const std::string& path);

// Parts of a valid list of addresses.
std::vector<std::string> SplitAddresses(std::string_view addresses);

// Whether only this machine reaches `address`, or all of several. Wider binds
// deserve a warning.
bool IsLoopback(std::string_view address);

// Parts of a valid HOST:PORT; brackets of an IPv6 host are removed.
struct HostPort {
  std::string host;
  int port = 0;
};
HostPort SplitHostPort(std::string_view address);

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_H_
