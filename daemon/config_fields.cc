#include "daemon/config_fields.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/config_detect_fields.h"
#include "daemon/config_field_types.h"
#include "daemon/config_identity_fields.h"
#include "daemon/config_metrics_fields.h"
#include "daemon/config_relay_fields.h"
#include "daemon/config_remote_write_fields.h"
#include "daemon/config_sink_fields.h"

namespace muster {
namespace {

bool IsHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (digits.empty() || digits.size() > 5) return false;
  int port = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return false;
    port = port * 10 + (digit - '0');
  }
  if (port > 65535) return false;
  if (host.find_first_of("/ \t") != std::string_view::npos) return false;
  // An IPv6 host has colons of its own and needs brackets.
  const bool bracketed =
      host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed || host.find_first_of(":[]") == std::string_view::npos;
}

bool AreGrpcAddresses(std::string_view text) {
  const std::vector<std::string> addresses = SplitAddresses(text);
  return std::all_of(
      addresses.begin(), addresses.end(),
      [](const std::string& each) { return IsGrpcAddress(each); });
}

bool IsAnything(std::string_view) { return true; }

void AppendGeneral(std::vector<ConfigField>& fields) {
  fields.push_back(
      Text("grpc_address", "Where ranks and the muster command connect.",
           MUSTER_MEMBER(grpc_address),
           "HOST:PORT or unix:PATH, or several with commas between",
           AreGrpcAddresses));
  fields.push_back(Text("http_address", "Metrics, health and API.",
                        MUSTER_MEMBER(http_address), "HOST:PORT", IsHostPort));
  AppendSocketMode(fields);
  fields.push_back(Text("data_dir",
                        "Folder for the history; empty: in memory only.",
                        MUSTER_MEMBER(data_dir), "a path", IsAnything));
  using Name = std::pair<std::string, std::string>;
  std::vector<Name> levels;
  for (const char* name :
       {"trace", "debug", "info", "warning", "error", "off"}) {
    levels.emplace_back(name, name);
  }
  fields.push_back(Choice("log_level",
                          "The least severe lines that are logged.",
                          MUSTER_MEMBER(log_level), levels));
  fields.push_back(
      Choice("log_format", "Text for people, JSON for collectors.",
             MUSTER_MEMBER(log_format),
             std::vector<std::pair<std::string, LogFormat>>{
                 {"text", LogFormat::kText}, {"json", LogFormat::kJson}}));
  fields.push_back(Text("ports_file",
                        "File to write the bound addresses to; empty: none.",
                        MUSTER_MEMBER(ports_file), "a path", IsAnything));
  fields.push_back(Duration(
      "keep_ended", "How long an ended run is still shown.",
      MUSTER_MEMBER(keep_ended), absl::ZeroDuration(), absl::Hours(24 * 365)));
  fields.push_back(Duration(
      "keep_silent",
      "How long a run without any source is kept; no longer than keep_ended "
      "when a newcomer needs its place.",
      MUSTER_MEMBER(keep_silent), absl::Seconds(1), absl::Hours(24 * 365)));
}

void AppendLimits(std::vector<ConfigField>& fields) {
  fields.push_back(Integer("limits.max_runs", "Runs followed at once.",
                           MUSTER_MEMBER(limits.max_runs), 1, 100000));
  fields.push_back(Integer("limits.max_world_size",
                           "Largest world size that a rank may state.",
                           MUSTER_MEMBER(limits.max_world_size), 1, 1048576));
  fields.push_back(Integer(
      "limits.max_sources_per_stream", "Sources that one stream may carry.",
      MUSTER_MEMBER(limits.max_sources_per_stream), 1, 1048576));
  fields.push_back(Integer(
      "limits.max_streams_per_peer", "Streams that one address may have open.",
      MUSTER_MEMBER(limits.max_streams_per_peer), 1, 1048576));
  fields.push_back(Integer("limits.max_connections_per_peer",
                           "gRPC connections that one address may have open.",
                           MUSTER_MEMBER(limits.max_connections_per_peer), 1,
                           1048576));
  fields.push_back(Integer("limits.max_connections",
                           "gRPC connections that may be open at all.",
                           MUSTER_MEMBER(limits.max_connections), 1, 1048576));
  // A message may have 1 MiB, so less could never take one.
  fields.push_back(
      Integer("limits.queue_bytes",
              "Bytes queued for one run before its streams are not read.",
              MUSTER_MEMBER(limits.queue_bytes), 1 << 20, int64_t{1} << 36));
}

void AppendFrames(std::vector<ConfigField>& fields) {
  fields.push_back(
      Duration("frames.timeout",
               "How long a frame waits for ranks after its first report.",
               MUSTER_MEMBER(frames.frame_timeout), absl::Milliseconds(10),
               absl::Hours(24)));
  fields.push_back(Integer(
      "frames.max_newer", "A frame is closed when so many newer ones are open.",
      MUSTER_MEMBER(frames.max_newer_frames), 1, 4096));
  fields.push_back(Duration(
      "frames.overflow_after",
      "It is not closed for that reason earlier than this after its first "
      "report.",
      MUSTER_MEMBER(frames.overflow_after), absl::ZeroDuration(),
      absl::Hours(24)));
  fields.push_back(
      Integer("frames.max_open_bytes",
              "Memory of a run's open frames above which it is closed at once.",
              MUSTER_MEMBER(frames.max_open_bytes), 1 << 20, int64_t{1} << 36));
  fields.push_back(Duration(
      "frames.contested_after",
      "How long a superseded process may go on sending before it is news.",
      MUSTER_MEMBER(frames.contested_after), absl::ZeroDuration(),
      absl::Hours(24)));
}

void AppendAlerts(std::vector<ConfigField>& fields) {
  fields.push_back(Integer("alerts.pending_steps",
                           "Steps with evidence before an alert fires.",
                           MUSTER_MEMBER(alerts.pending_steps), 1, 65536));
  fields.push_back(
      Integer("alerts.resolve_frames",
              "Judged frames for which an alert stays when its evidence is "
              "gone.",
              MUSTER_MEMBER(alerts.resolve_frames), 0, 65536));
  fields.push_back(Integer("alerts.keep_resolved",
                           "Resolved alerts of a run kept for display.",
                           MUSTER_MEMBER(alerts.keep_resolved), 0, 1048576));
  fields.push_back(Integer("alerts.max_alive", "Alerts of a run alive at once.",
                           MUSTER_MEMBER(alerts.max_alive), 1, 1048576));
}

void AppendHistory(std::vector<ConfigField>& fields) {
  fields.push_back(Choice("history.enabled",
                          "Whether runs are kept in the data folder.",
                          MUSTER_MEMBER(history.enabled),
                          std::vector<std::pair<std::string, bool>>{
                              {"true", true}, {"false", false}}));
  fields.push_back(Integer(
      "history.max_bytes",
      "Size of the file above which the oldest runs and frames are deleted.",
      MUSTER_MEMBER(history.max_bytes), 1 << 20, int64_t{1} << 50));
  fields.push_back(Duration("history.max_age", "Older frames are deleted.",
                            MUSTER_MEMBER(history.max_age), absl::Minutes(1),
                            absl::Hours(24 * 3660)));
  fields.push_back(Integer(
      "history.sketch_bytes",
      "Sketches kept of the newest frames, and as much again around alerts.",
      MUSTER_MEMBER(history.sketch_bytes), 0, int64_t{1} << 50));
  fields.push_back(
      Duration("history.commit_interval",
               "How long reports wait to be stored and acknowledged together.",
               MUSTER_MEMBER(history.commit_interval), absl::Milliseconds(1),
               absl::Seconds(10)));
  fields.push_back(
      Integer("history.queue_bytes",
              "Memory for what waits to be stored; beyond it, it is not kept.",
              MUSTER_MEMBER(history.queue_bytes), 1 << 20, int64_t{1} << 36));
}

}  // namespace

bool IsGrpcAddress(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) {
    return text.size() > kUnix.size() && text.size() <= kUnix.size() + 107;
  }
  return IsHostPort(text);
}

std::vector<ConfigField> ConfigFields() {
  std::vector<ConfigField> fields;
  AppendGeneral(fields);
  AppendIdentityFields(fields);
  AppendLimits(fields);
  AppendFrames(fields);
  AppendDetectFields(fields);
  AppendAlerts(fields);
  AppendHistory(fields);
  AppendMetricsFields(fields);
  AppendRemoteWriteFields(fields);
  AppendSinkFields(fields);
  AppendRelayFields(fields);
  return fields;
}

}  // namespace muster
