#include "daemon/config_relay_fields.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "daemon/config_field_types.h"

namespace muster {
namespace {

bool IsUpstream(std::string_view text) {
  constexpr std::string_view kTls = "tls://";
  if (text.starts_with(kTls)) {
    text.remove_prefix(kTls.size());
    if (text.empty() || text.starts_with("unix:")) return false;
  }
  return text.empty() || (IsGrpcAddress(text) && !text.ends_with(":0"));
}

}  // namespace

void AppendSocketMode(std::vector<ConfigField>& fields) {
  ConfigField field{.key = "socket_mode",
                    .help = "Permission bits of Unix sockets.",
                    .allowed = "octal digits, 0000 … 0777"};
  field.set = [](const std::string& text, Config& config) {
    const bool digits = !text.empty() && text.size() <= 4 &&
                        std::all_of(text.begin(), text.end(), [](char c) {
                          return c >= '0' && c <= '7';
                        });
    const long mode = digits ? std::strtol(text.c_str(), nullptr, 8) : -1;
    if (mode < 0 || mode > 0777) return false;
    config.socket_mode = static_cast<int>(mode);
    return true;
  };
  field.print = [](const Config& config) {
    char text[16];
    std::snprintf(text, sizeof(text), "\"%04o\"",
                  static_cast<unsigned>(config.socket_mode));
    return std::string(text);
  };
  fields.push_back(std::move(field));
}

void AppendRelayFields(std::vector<ConfigField>& fields) {
  fields.push_back(Text(
      "relay.upstream",
      "Where this daemon, then a relay, passes reports on to; empty: it is no "
      "relay.",
      MUSTER_MEMBER(relay.upstream), "HOST:PORT, tls://HOST:PORT or unix:PATH",
      IsUpstream));
  const auto path = [&](const char* key, const char* help, auto member) {
    fields.push_back(Text(key, help, member, "a path",
                          [](std::string_view) { return true; }));
  };
  path("relay.ca_file",
       "With tls://: whom to trust, in PEM form, not the system's authorities.",
       MUSTER_MEMBER(relay.files.ca));
  path("relay.cert_file", "With tls://: a certificate to show upstream.",
       MUSTER_MEMBER(relay.files.certificate));
  path("relay.key_file", "Its key.", MUSTER_MEMBER(relay.files.key));
  path("relay.token_file", "A token to show upstream.",
       MUSTER_MEMBER(relay.files.token));
  fields.push_back(
      Text("relay.spool_dir",
           "Folder for what upstream cannot take; empty: it waits in memory.",
           MUSTER_MEMBER(relay.spool.folder), "a path",
           [](std::string_view) { return true; }));
  fields.push_back(
      Integer("relay.spool_bytes",
              "Bytes of reports in the spool above which the oldest are "
              "dropped.",
              MUSTER_MEMBER(relay.spool.max_bytes), 1 << 20, int64_t{1} << 50));
  fields.push_back(Duration("relay.spool_max_age",
                            "Older reports in the spool are dropped.",
                            MUSTER_MEMBER(relay.spool.max_age),
                            absl::Seconds(1), absl::Hours(24 * 366)));
  fields.push_back(Duration(
      "relay.spool_after",
      "What upstream has not acknowledged for so long goes to the spool.",
      MUSTER_MEMBER(relay.spool_after), absl::Milliseconds(10),
      absl::Hours(1)));
  fields.push_back(
      Integer("relay.memory_bytes",
              "Bytes of reports in memory above which the oldest are dropped.",
              MUSTER_MEMBER(relay.memory_bytes), 1 << 20, int64_t{1} << 36));
  fields.push_back(Duration("relay.batch_delay",
                            "How long a report waits for others to travel "
                            "with.",
                            MUSTER_MEMBER(relay.batch_delay),
                            absl::Milliseconds(1), absl::Seconds(1)));
  fields.push_back(Integer(
      "relay.drain_rate",
      "Reports a second of each rank that leave the spool; the same on all "
      "nodes.",
      MUSTER_MEMBER(relay.drain_rate), 1, 1000000));
  fields.push_back(Duration(
      "relay.grace", "How long a relay that is asked to stop goes on sending.",
      MUSTER_MEMBER(relay.grace), absl::ZeroDuration(), absl::Minutes(10)));
}

}  // namespace muster
