#include "daemon/config_remote_write_fields.h"

#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "daemon/config_field_types.h"
#include "daemon/sinks/url.h"

namespace muster {
namespace {

using sinks::remote_write::Pairs;

bool IsAnything(std::string_view) { return true; }

bool IsLabelName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '_')
      return false;
  }
  return !name.starts_with("__") && name != "run" && name != "rank";
}

bool IsHeaderName(std::string_view name) {
  if (name.empty()) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' &&
        c != '_')
      return false;
  }
  // What is secret has keys of its own; the others are set already.
  const std::string lower = absl::AsciiStrToLower(std::string(name));
  for (const char* own : {"authorization", "content-type", "content-encoding",
                          "content-length", "host"}) {
    if (lower == own) return false;
  }
  return true;
}

// "NAME=VALUE, NAME=VALUE".
bool ParsePairs(const std::string& text, bool (*good)(std::string_view),
                Pairs& pairs) {
  Pairs parsed;
  const std::vector<std::string> parts =
      absl::StrSplit(text, ',', absl::SkipWhitespace());
  for (const std::string& part : parts) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos) return false;
    std::string name = part.substr(0, equals);
    std::string value = part.substr(equals + 1);
    absl::StripAsciiWhitespace(&name);
    absl::StripAsciiWhitespace(&value);
    if (!good(name) || value.empty()) return false;
    for (const char c : value) {
      if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) return false;
    }
    for (const auto& other : parsed) {
      if (other.first == name) return false;
    }
    parsed.emplace_back(std::move(name), std::move(value));
  }
  pairs = std::move(parsed);
  return true;
}

template <typename Member>
ConfigField PairsField(std::string key, std::string help, Member member,
                       std::string allowed, bool (*good)(std::string_view)) {
  ConfigField field{.key = std::move(key),
                    .help = std::move(help),
                    .allowed = std::move(allowed)};
  field.set = [member, good](const std::string& text, Config& config) {
    return ParsePairs(text, good, member(config));
  };
  field.print = [member](const Config& config) {
    return Quote(absl::StrJoin(member(config), ", ", absl::PairFormatter("=")));
  };
  return field;
}

void AppendEndpoint(std::vector<ConfigField>& fields) {
  const auto path = [&](const char* name, const char* help, auto member) {
    fields.push_back(Text(absl::StrCat("remote_write.", name), help, member,
                          "a path", IsAnything));
  };
  const auto variable = [&](const char* name, const char* help, auto member) {
    fields.push_back(Text(absl::StrCat("remote_write.", name), help, member,
                          "the name of an environment variable", IsAnything));
  };
  // Looked at by ValidateRemoteWrite, which quotes nothing: a password may have
  // been put there by mistake.
  fields.push_back(Text(
      "remote_write.url",
      "Prometheus remote write receiver that every step is sent to; empty: "
      "none.",
      MUSTER_MEMBER(remote_write.endpoint.url),
      "an http:// or https:// URL without user and password", IsAnything));
  path("ca_file", "PEM file of those to trust there; empty: the system's.",
       MUSTER_MEMBER(remote_write.endpoint.ca_file));
  path("certificate_file", "PEM file of our own certificate; empty: none.",
       MUSTER_MEMBER(remote_write.endpoint.certificate_file));
  path("key_file", "PEM file of its key.",
       MUSTER_MEMBER(remote_write.endpoint.key_file));
  fields.push_back(Text("remote_write.username",
                        "Name for basic authentication; empty: none.",
                        MUSTER_MEMBER(remote_write.endpoint.username),
                        "a name without colon", [](std::string_view text) {
                          return text.find(':') == std::string_view::npos;
                        }));
  path("password_file", "File that holds its password.",
       MUSTER_MEMBER(remote_write.endpoint.password.file));
  variable("password_env", "Environment variable that holds it instead.",
           MUSTER_MEMBER(remote_write.endpoint.password.variable));
  path("bearer_token_file", "File that holds a bearer token.",
       MUSTER_MEMBER(remote_write.endpoint.bearer_token.file));
  variable("bearer_token_env", "Environment variable that holds it instead.",
           MUSTER_MEMBER(remote_write.endpoint.bearer_token.variable));
}

}  // namespace

void AppendRemoteWriteFields(std::vector<ConfigField>& fields) {
  AppendEndpoint(fields);
  fields.push_back(PairsField(
      "remote_write.headers", "Sent with each request; no secrets.",
      MUSTER_MEMBER(remote_write.headers),
      "\"NAME=VALUE, …\", such as \"X-Scope-OrgID=team\"; not Authorization",
      IsHeaderName));
  fields.push_back(PairsField(
      "remote_write.external_labels", "Labels of all series.",
      MUSTER_MEMBER(remote_write.external_labels),
      "\"NAME=VALUE, …\", such as \"job=muster, cluster=a\"; not run, rank or "
      "__…",
      IsLabelName));
  fields.push_back(Integer(
      "remote_write.max_ranks",
      "Ranks have series of their own in runs of at most so many; 0: none.",
      MUSTER_MEMBER(remote_write.max_ranks), 0, 16384));
  fields.push_back(
      Duration("remote_write.interval",
               "How long a step waits to be sent with those after it.",
               MUSTER_MEMBER(remote_write.interval), absl::Milliseconds(10),
               absl::Minutes(5)));
  fields.push_back(Duration("remote_write.timeout",
                            "For one request as a whole.",
                            MUSTER_MEMBER(remote_write.timeout),
                            absl::Milliseconds(100), absl::Minutes(5)));
  fields.push_back(Integer("remote_write.batch_samples",
                           "Samples in one request; a step is never divided.",
                           MUSTER_MEMBER(remote_write.batch_samples), 1,
                           1000000));
  fields.push_back(Integer(
      "remote_write.queue_bytes",
      "Memory for steps that wait, half of it at most for those of resend; "
      "those beyond it are read from the history later, and are lost without "
      "one.",
      MUSTER_MEMBER(remote_write.queue_bytes), 1 << 16, int64_t{1} << 36));
  fields.push_back(Duration(
      "remote_write.resend",
      "What was delivered so long before the receiver failed is sent again; "
      "for receivers that answer before they have stored.",
      MUSTER_MEMBER(remote_write.resend), absl::ZeroDuration(),
      absl::Minutes(10)));
}

std::string ValidateRemoteWrite(const sinks::remote_write::Options& options) {
  const sinks::HttpEndpoint& e = options.endpoint;
  const std::string url = e.url.empty() ? "" : sinks::CheckUrl(e.url);
  if (!url.empty()) return absl::StrCat("url ", url);
  if (e.certificate_file.empty() != e.key_file.empty()) {
    return "certificate_file and key_file need each other";
  }
  if (!e.password.file.empty() && !e.password.variable.empty()) {
    return "only one of password_file and password_env may be given";
  }
  if (!e.bearer_token.file.empty() && !e.bearer_token.variable.empty()) {
    return "only one of bearer_token_file and bearer_token_env may be given";
  }
  if (e.username.empty() == e.password.is_set()) {
    return "username and its password need each other";
  }
  if (!e.username.empty() && e.bearer_token.is_set()) {
    return "username and a bearer token exclude each other";
  }
  return "";
}

}  // namespace muster
