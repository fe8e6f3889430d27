#include "daemon/config_identity_fields.h"

#include <string_view>
#include <utility>

#include "daemon/config_field_types.h"
#include "daemon/identity/rules.h"

namespace muster {
namespace {

bool IsAnything(std::string_view) { return true; }

template <typename Member>
ConfigField Path(std::string key, std::string help, Member member) {
  return Text(std::move(key), std::move(help), member, "a path", IsAnything);
}

template <typename Member>
ConfigField YesOrNo(std::string key, std::string help, Member member) {
  return Choice(std::move(key), std::move(help), member,
                std::vector<std::pair<std::string, bool>>{{"true", true},
                                                          {"false", false}});
}

// Names, as a list or as text with commas.
template <typename Member>
ConfigField Names(std::string key, std::string help, Member member,
                  std::string allowed) {
  ConfigField field = Text(std::move(key), std::move(help), member,
                           std::move(allowed), IsAnything);
  field.joins_lists = true;
  return field;
}

ConfigField RuleList() {
  const std::string prefix = "auth.rules.";
  ConfigField field{
      .key = "auth.rules",
      .help =
          "Who may do what; without rules every good token or certificate "
          "may do all."};
  field.allowed = "a list, each item with identity, and runs and verbs";
  field.items = {
      Text(prefix + "identity", "Who: * in it stands for any text.",
           MUSTER_MEMBER(identity.auth.rules.back().identity),
           "token:NAME, certificate:NAME (a subject alternative name), anyone",
           IsAnything),
      Names(prefix + "runs", "Run ids; * stands for any text.",
            MUSTER_MEMBER(identity.auth.rules.back().runs),
            "patterns of run ids"),
      Names(prefix + "verbs", "What: to report, to read, to scrape.",
            MUSTER_MEMBER(identity.auth.rules.back().verbs),
            "report, query, metrics"),
  };
  field.clear = [](Config& config) { config.identity.auth.rules.clear(); };
  field.append = [](Config& config) {
    config.identity.auth.rules.emplace_back();
  };
  field.check = [](Config& config) {
    return identity::CheckRule(config.identity.auth.rules.back());
  };
  field.split = [](const Config& config) {
    std::vector<Config> each;
    for (const identity::Rule& rule : config.identity.auth.rules) {
      each.push_back(config);
      each.back().identity.auth.rules = {rule};
    }
    return each;
  };
  return field;
}

}  // namespace

void AppendIdentityFields(std::vector<ConfigField>& fields) {
  fields.push_back(
      Path("tls.cert_file",
           "PEM file with the daemon's certificate and chain, re-read when it "
           "changes; empty: no TLS.",
           MUSTER_MEMBER(identity.tls.cert_file)));
  fields.push_back(Path("tls.key_file", "PEM file with its key.",
                        MUSTER_MEMBER(identity.tls.key_file)));
  fields.push_back(
      Path("tls.client_ca_file",
           "PEM file of whose certificates callers may show; empty: none are "
           "asked for.",
           MUSTER_MEMBER(identity.tls.client_ca_file)));
  fields.push_back(YesOrNo(
      "tls.require_client_certificate",
      "Whether gRPC turns callers without a certificate away; else they need a "
      "token.",
      MUSTER_MEMBER(identity.tls.require_client_certificate)));
  fields.push_back(YesOrNo("tls.http", "Whether HTTP speaks TLS too.",
                           MUSTER_MEMBER(identity.tls.http)));
  fields.push_back(
      Path("auth.tokens_file",
           "File with lines NAME: TOKEN, re-read when it changes; empty: no "
           "tokens.",
           MUSTER_MEMBER(identity.auth.tokens_file)));
  fields.push_back(RuleList());
}

std::string ValidateIdentity(const identity::Options& options) {
  const identity::TlsOptions& tls = options.tls;
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    return "tls: cert_file and key_file need each other";
  }
  if (!tls.client_ca_file.empty() && !tls.enabled()) {
    return "tls: client_ca_file needs cert_file and key_file";
  }
  for (const identity::Rule& rule : options.auth.rules) {
    const std::string_view identity = rule.identity;
    if (identity.starts_with("token:") && options.auth.tokens_file.empty()) {
      return "auth.rules: identity " + rule.identity +
             " needs auth.tokens_file";
    }
    if (identity.starts_with("certificate:") && tls.client_ca_file.empty()) {
      return "auth.rules: identity " + rule.identity +
             " needs tls.client_ca_file";
    }
  }
  return "";
}

}  // namespace muster
