#include "daemon/config_sink_fields.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/config_field_types.h"
#include "daemon/sinks/url.h"

namespace muster {
namespace {

using sinks::AlertmanagerOptions;
using sinks::HttpEndpoint;
using sinks::Secret;
using sinks::WebhookOptions;

constexpr char kUrlAllowed[] =
    "http:// or https://, HOST, and perhaps :PORT and a path; no user or "
    "password, which would be shown with it: use username and password_file or "
    "password_env";

bool IsAnything(std::string_view) { return true; }

bool IsUrl(std::string_view text) { return sinks::CheckUrl(text).empty(); }

bool IsUrlOrEmpty(std::string_view text) { return text.empty() || IsUrl(text); }

// A path is added to it.
bool IsBaseUrl(std::string_view text) {
  return IsUrl(text) && text.find_first_of("?#") == std::string_view::npos;
}

bool IsName(std::string_view text) {
  return text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::StrContains("._:-[]", c);
         });
}

bool IsVariable(std::string_view text) {
  return std::all_of(
             text.begin(), text.end(),
             [](char c) {
               return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                      c == '_';
             }) &&
         (text.empty() ||
          !absl::ascii_isdigit(static_cast<unsigned char>(text.front())));
}

// A value that is wrong may be a secret, so it is not shown.
ConfigField Hidden(ConfigField field) {
  field.shows_value = false;
  return field;
}

template <typename Member>
void AppendSecret(const std::string& key, const std::string& what,
                  Member member, std::vector<ConfigField>& fields) {
  fields.push_back(Text(
      key + "_file", "File with " + what + ", read at each use; empty: none.",
      [member](auto& config) -> auto& { return member(config).file; }, "a path",
      IsAnything));
  fields.push_back(Hidden(Text(
      key + "_env",
      "Instead of it: environment variable with " + what + "; empty: none.",
      [member](auto& config) -> auto& { return member(config).variable; },
      "a variable's name: letters, digits and _", IsVariable)));
}

// An address may hold a secret: it is printed without its path, and is not
// taken back then. `member` reaches the endpoint.
template <typename Member>
void AppendUrl(const std::string& prefix, const std::string& help,
               const std::string& allowed, bool (*good)(std::string_view),
               Member member, std::vector<ConfigField>& fields) {
  ConfigField field = Hidden(Text(
      prefix + "url",
      help, [member](auto& config) -> auto& { return member(config).url; },
      absl::StrCat(allowed, "; not what --print-config has shortened with …"),
      good));
  field.print = [member](const Config& config) {
    const std::string& url = member(config).url;
    if (url.empty()) return Quote(url);
    const std::string shown = sinks::ShortenUrl(url);
    return Quote(shown) + (shown == url ? "" : "  # the rest is not shown");
  };
  fields.push_back(std::move(field));
  AppendSecret(
      prefix + "url", "the address, instead of url",
      [member](auto& config) -> auto& { return member(config).url_place; },
      fields);
}

// What both kinds of receivers have. `member` reaches the endpoint.
template <typename Member>
void AppendEndpoint(const std::string& prefix, Member member,
                    std::vector<ConfigField>& fields) {
  fields.push_back(Duration(
      prefix + "timeout", "How long one post may take.",
      [member](auto& config) -> auto& { return member(config).timeout; },
      absl::Milliseconds(100), absl::Minutes(5)));
  fields.push_back(Text(
      prefix + "username", "User for basic authentication; empty: none.",
      [member](auto& config) -> auto& { return member(config).username; },
      "text", IsAnything));
  AppendSecret(
      prefix + "password", "the user's password",
      [member](auto& config) -> auto& { return member(config).password; },
      fields);
  AppendSecret(
      prefix + "bearer_token", "a token to send as Authorization: Bearer",
      [member](auto& config) -> auto& { return member(config).bearer_token; },
      fields);
  fields.push_back(Text(
      prefix + "ca_file",
      "PEM file of whom to trust behind https; empty: whom the system trusts.",
      [member](auto& config) -> auto& { return member(config).ca_file; },
      "a path", IsAnything));
  fields.push_back(Text(
      prefix + "certificate_file", "PEM file with a certificate of our own.",
      [member](auto& config) -> auto& {
        return member(config).certificate_file;
      },
      "a path", IsAnything));
  fields.push_back(Text(
      prefix + "key_file", "PEM file with its key.",
      [member](auto& config) -> auto& { return member(config).key_file; },
      "a path", IsAnything));
}

constexpr char kNameHelp[] =
    "Name in logs and metrics; empty: host and port of the URL.";
constexpr char kNameAllowed[] =
    "at most 64 letters, digits and any of . _ : - [ ]";

std::vector<ConfigField> AlertmanagerFields() {
  const std::string prefix = "sinks.alertmanagers.";
  std::vector<ConfigField> fields;
  fields.push_back(Text(prefix + "name", kNameHelp,
                        MUSTER_MEMBER(sinks.alertmanagers.back().name),
                        kNameAllowed, IsName));
  AppendUrl(prefix, "Address of its page, without the API's path.",
            std::string(kUrlAllowed) + "; no query", IsBaseUrl,
            MUSTER_MEMBER(sinks.alertmanagers.back().endpoint), fields);
  fields.push_back(
      Duration(prefix + "resend_interval",
               "How often it hears of an alert that still fires; what it does "
               "not hear of for four intervals it resolves.",
               MUSTER_MEMBER(sinks.alertmanagers.back().resend_interval),
               absl::Seconds(1), absl::Hours(1)));
  AppendEndpoint(prefix, MUSTER_MEMBER(sinks.alertmanagers.back().endpoint),
                 fields);
  return fields;
}

std::vector<ConfigField> WebhookFields() {
  const std::string prefix = "sinks.webhooks.";
  std::vector<ConfigField> fields;
  fields.push_back(Text(prefix + "name", kNameHelp,
                        MUSTER_MEMBER(sinks.webhooks.back().name), kNameAllowed,
                        IsName));
  AppendUrl(prefix, "Where to post.", kUrlAllowed, IsUrl,
            MUSTER_MEMBER(sinks.webhooks.back().endpoint), fields);
  AppendSecret(prefix + "secret", "the key of the signature",
               MUSTER_MEMBER(sinks.webhooks.back().secret), fields);
  fields.push_back(Choice(prefix + "states",
                          "Which changes: firing and resolved, or pending and "
                          "observed too.",
                          MUSTER_MEMBER(sinks.webhooks.back().all_states),
                          std::vector<std::pair<std::string, bool>>{
                              {"told", false}, {"all", true}}));
  fields.push_back(Integer(prefix + "queue_size",
                           "Changes that wait at most; the oldest goes first.",
                           MUSTER_MEMBER(sinks.webhooks.back().queue_size), 1,
                           65536));
  AppendEndpoint(prefix, MUSTER_MEMBER(sinks.webhooks.back().endpoint), fields);
  return fields;
}

std::string CheckSecret(const Secret& secret, const std::string& key) {
  if (secret.file.empty() || secret.variable.empty()) return "";
  return key + "_file and " + key + "_env exclude each other";
}

std::string CheckEndpoint(const HttpEndpoint& endpoint) {
  const Secret& place = endpoint.url_place;
  if (endpoint.url.empty() && !place.is_set()) return "'url' is missing";
  if (!endpoint.url.empty() && place.is_set()) {
    return "url excludes url_file and url_env";
  }
  for (const std::string& error :
       {CheckSecret(place, "url"), CheckSecret(endpoint.password, "password"),
        CheckSecret(endpoint.bearer_token, "bearer_token")}) {
    if (!error.empty()) return error;
  }
  if (endpoint.username.empty() == endpoint.password.is_set()) {
    return "username needs password_file or password_env, and the other way "
           "round";
  }
  if (!endpoint.username.empty() && endpoint.bearer_token.is_set()) {
    return "username and a bearer token exclude each other";
  }
  if (endpoint.certificate_file.empty() != endpoint.key_file.empty()) {
    return "certificate_file and key_file need each other";
  }
  return "";
}

// Gives the last receiver its name; an error if another one has it.
template <typename Receiver>
std::string CheckName(std::vector<Receiver>& receivers) {
  Receiver& last = receivers.back();
  if (last.name.empty() && last.endpoint.url.empty()) {
    return "url_file and url_env need a 'name'";
  }
  if (last.name.empty()) last.name = sinks::HostOf(last.endpoint.url);
  for (size_t i = 0; i + 1 < receivers.size(); ++i) {
    if (receivers[i].name == last.name) {
      return "a second one named '" + last.name + "'; give it another 'name'";
    }
  }
  return "";
}

// A list whose items stand in `member`.
template <typename Member>
ConfigField List(std::string key, std::string help,
                 std::vector<ConfigField> items, Member member,
                 std::string (*check)(Config&)) {
  ConfigField field{.key = std::move(key), .help = std::move(help)};
  field.allowed = "a list, each item with its keys";
  field.items = std::move(items);
  field.clear = [member](Config& config) { member(config).clear(); };
  field.append = [member](Config& config) { member(config).emplace_back(); };
  field.check = check;
  field.split = [member](const Config& config) {
    std::vector<Config> each;
    for (const auto& item : member(config)) {
      each.push_back(config);
      member(each.back()) = {item};
    }
    return each;
  };
  return field;
}

std::string CheckAlertmanager(Config& config) {
  auto& all = config.sinks.alertmanagers;
  const std::string error = CheckEndpoint(all.back().endpoint);
  return error.empty() ? CheckName(all) : error;
}

std::string CheckWebhook(Config& config) {
  auto& all = config.sinks.webhooks;
  std::string error = CheckEndpoint(all.back().endpoint);
  if (error.empty()) error = CheckSecret(all.back().secret, "secret");
  return error.empty() ? CheckName(all) : error;
}

}  // namespace

void AppendSinkFields(std::vector<ConfigField>& fields) {
  fields.push_back(Hidden(Text(
      "sinks.external_url",
      "How people reach this daemon's page, for links; empty: no links.",
      MUSTER_MEMBER(sinks.external_url),
      std::string(kUrlAllowed) + "; no query",
      [](std::string_view text) { return text.empty() || IsBaseUrl(text); })));
  fields.push_back(Hidden(
      Text("sinks.dashboard_url",
           "A run's dashboard, for links; {run} stands for its name.",
           MUSTER_MEMBER(sinks.dashboard_url), kUrlAllowed, IsUrlOrEmpty)));
  fields.push_back(List("sinks.alertmanagers",
                        "Alertmanagers that are told what fires.",
                        AlertmanagerFields(),
                        MUSTER_MEMBER(sinks.alertmanagers), CheckAlertmanager));
  fields.push_back(List(
      "sinks.webhooks", "Addresses that each change of an alert is posted to.",
      WebhookFields(), MUSTER_MEMBER(sinks.webhooks), CheckWebhook));
}

}  // namespace muster
