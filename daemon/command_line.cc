#include "daemon/command_line.h"

#include <CLI/CLI.hpp>
#include <array>
#include <map>

#include "absl/strings/str_cat.h"
#include "daemon/base/command_pages.h"
#include "daemon/reference_file.h"

namespace muster {
namespace {

// Keys that can be set without a file.
struct Setting {
  const char* key;
  const char* flag;      // null: none
  const char* variable;  // null: none
  const char* help;
};
constexpr std::array<Setting, 12> kSettings = {{
    {"grpc_address", "--grpc-address", "MUSTERD_GRPC_ADDRESS",
     "where ranks and the muster command connect: HOST:PORT or unix:PATH"},
    {"http_address", "--http-address", "MUSTERD_HTTP_ADDRESS",
     "metrics, health and API: HOST:PORT"},
    {"data_dir", "--data-dir", "MUSTERD_DATA_DIR", "folder for the history"},
    {"log_level", "--log-level", "MUSTERD_LOG_LEVEL",
     "trace, debug, info, warning, error or off"},
    {"log_format", "--log-format", "MUSTERD_LOG_FORMAT", "text or json"},
    {"ports_file", "--ports-file", nullptr,
     "file to write the bound addresses to"},
    {"relay.upstream", "--upstream", "MUSTERD_UPSTREAM",
     "be a relay, and pass reports on to HOST:PORT, tls://HOST:PORT or "
     "unix:PATH"},
    // As those of the clients.
    {"relay.ca_file", nullptr, "MUSTER_CA_FILE", nullptr},
    {"relay.cert_file", nullptr, "MUSTER_CERT_FILE", nullptr},
    {"relay.key_file", nullptr, "MUSTER_KEY_FILE", nullptr},
    {"relay.token_file", nullptr, "MUSTER_TOKEN_FILE", nullptr},
    {"relay.spool_dir", "--spool-dir", "MUSTERD_SPOOL_DIR",
     "folder for what a relay's upstream cannot take"},
}};

absl::Status Prefixed(const std::string& where, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(where, ": ", status.message()));
}

}  // namespace

absl::StatusOr<ParsedCommandLine> ParseCommandLine(
    int argc, const char* const* argv, const EnvironmentLookup& environment) {
  CLI::App app(
      "Lines up the reports of training ranks and names the one that is "
      "wrong.\nFlags beat MUSTERD_* environment variables, which beat the "
      "file.",
      "musterd");
  std::string file;
  bool check = false;
  bool print = false;
  bool version = false;
  std::map<std::string, std::string> flags;
  app.add_option("--config", file, "configuration in YAML")->type_name("FILE");
  for (const Setting& setting : kSettings) {
    if (setting.flag == nullptr) continue;
    app.add_option(setting.flag, flags[setting.key], setting.help)
        ->type_name("VALUE");
  }
  app.add_flag("--check-config", check, "check the configuration and exit");
  app.add_flag("--print-config", print,
               "print the configuration in force as YAML and exit");
  app.add_flag("--version", version, "print the version and exit");
  std::string pages;  // hidden: for the build
  app.add_option("--pages", pages)->group("");

  ParsedCommandLine parsed;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    parsed.output = app.help();
    return parsed;
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(error.what(), " (see musterd --help)"));
  }
  if (!pages.empty()) {
    auto page = CommandPage(app, pages, MUSTER_VERSION);
    if (!page.ok()) return page.status();
    parsed.output = *std::move(page);
    return parsed;
  }
  if (version) {
    parsed.output = absl::StrCat("musterd ", DaemonVersion(), "\n");
    return parsed;
  }

  if (app.count("--config") > 0) {
    absl::Status status = ApplyYamlFile(file, parsed.config);
    if (!status.ok()) return status;
  }
  for (const Setting& setting : kSettings) {
    const char* value =
        setting.variable ? environment(setting.variable) : nullptr;
    // An empty variable is how shells and Kubernetes unset one.
    if (value == nullptr || *value == '\0') continue;
    absl::Status status = SetField(setting.key, value, parsed.config);
    if (!status.ok()) return Prefixed(setting.variable, status);
  }
  for (const Setting& setting : kSettings) {
    if (setting.flag == nullptr || app.count(setting.flag) == 0) continue;
    absl::Status status =
        SetField(setting.key, flags[setting.key], parsed.config);
    if (!status.ok()) return Prefixed(setting.flag, status);
  }
  const relay::Options& relay = parsed.config.relay;
  if (relay.upstream.empty() && !relay.spool.folder.empty()) {
    return absl::InvalidArgumentError(
        "relay.spool_dir is set, but relay.upstream is not: only a relay has a "
        "spool");
  }
  if (absl::Status status = LoadReference(parsed.config); !status.ok()) {
    return status;
  }
  if (print) {
    parsed.output = ToYaml(parsed.config);
  } else if (check) {
    parsed.output = "the configuration is good\n";
  }
  return parsed;
}

const char* DaemonVersion() { return MUSTER_VERSION; }

}  // namespace muster
