#include "daemon/config.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "daemon/config_fields.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A folder of its own, removed at the end.
class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string folder = ::testing::TempDir() + "muster-config-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
  }
  ~ConfigTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

std::string ErrorOf(const std::string& yaml) {
  Config config;
  return std::string(ApplyYaml(yaml, "musterd.yaml", config).message());
}

TEST_F(ConfigTest, DefaultsAreThoseOfTheDesign) {
  const Config config;
  EXPECT_EQ(config.grpc_address, "127.0.0.1:7600");
  EXPECT_EQ(config.http_address, "127.0.0.1:7601");
  EXPECT_EQ(config.limits.queue_bytes, 67108864u);
  EXPECT_EQ(config.frames.frame_timeout, absl::Seconds(30));
}

TEST_F(ConfigTest, ReadsNestedKeysAndKeepsTheOthers) {
  Config config;
  const absl::Status status = ApplyYaml(
      "grpc_address: \"[::1]:0\"\n"
      "log_format: json\n"
      "limits:\n"
      "  max_world_size: 64\n"
      "detect:\n"
      "  target_frames: 1e3\n"
      "  rank_outlier: {margin: 0.5, mode: observe, severity: info}\n"
      "  rank_missing: {after: 1m30s}\n",
      "musterd.yaml", config);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(config.grpc_address, "[::1]:0");
  EXPECT_EQ(config.log_format, LogFormat::kJson);
  EXPECT_EQ(config.limits.max_world_size, 64u);
  EXPECT_EQ(config.limits.max_runs, 256);
  EXPECT_EQ(config.detect.rank_outlier.margin, 0.5);
  EXPECT_EQ(config.detect.target_frames, 1000);
  const auto& outlier =
      config.detect.kinds[static_cast<size_t>(detect::Kind::kRankOutlier)];
  EXPECT_EQ(outlier.mode, detect::Mode::kObserve);
  EXPECT_EQ(outlier.severity, detect::Severity::kInfo);
  EXPECT_EQ(config.detect.rank_missing_after, absl::Seconds(90));
}

TEST_F(ConfigTest, EmptyFilesAndSectionsChangeNothing) {
  Config config;
  EXPECT_TRUE(ApplyYaml("", "a", config).ok());
  EXPECT_TRUE(ApplyYaml("# only a comment\n", "a", config).ok());
  EXPECT_TRUE(ApplyYaml("detect:\n", "a", config).ok());
  EXPECT_EQ(ToYaml(config), ToYaml(Config()));
}

TEST_F(ConfigTest, ErrorsNameFileLineKeyAndWhatIsAllowed) {
  EXPECT_EQ(ErrorOf("detect:\n  rank_outlier:\n    margin: 99\n"),
            "musterd.yaml:3: key 'detect.rank_outlier.margin': '99' is not "
            "allowed; allowed: a number, 0 … 10");
  EXPECT_EQ(ErrorOf("\nlog_format: xml\n"),
            "musterd.yaml:2: key 'log_format': 'xml' is not allowed; allowed: "
            "one of text, json");
  EXPECT_EQ(ErrorOf("detect:\n  rank_missing:\n    mode: on\n"),
            "musterd.yaml:3: key 'detect.rank_missing.mode': 'on' is not "
            "allowed; allowed: one of off, observe, alert");
}

TEST_F(ConfigTest, UnknownKeysListTheirNeighbours) {
  const std::string top = ErrorOf("grpc_adress: 127.0.0.1:1\n");
  EXPECT_THAT(top, StartsWith("musterd.yaml:1: key 'grpc_adress': no such"));
  EXPECT_THAT(top, HasSubstr("grpc_address, http_address"));
  EXPECT_THAT(top, HasSubstr("limits, frames, detect, alerts"));
  EXPECT_EQ(ErrorOf("frames:\n  timeout: 3s\n  time: 3s\n"),
            "musterd.yaml:3: key 'frames.time': no such key; allowed here: "
            "timeout, max_newer, overflow_after, max_open_bytes, "
            "contested_after");
  // A prefix of a key's name is not its section.
  EXPECT_THAT(ErrorOf("lim:\n  max_runs: 1\n"), HasSubstr("no such key"));
}

TEST_F(ConfigTest, DurationsNeedAUnit) {
  EXPECT_THAT(ErrorOf("frames: {timeout: 30}\n"),
              HasSubstr("'30' is not allowed; allowed: a duration with its "
                        "unit, such as 500ms, 30s or 2m"));
  EXPECT_THAT(ErrorOf("frames: {contested_after: 0}\n"), HasSubstr("unit"));
  EXPECT_THAT(ErrorOf("keep_ended: inf\n"), HasSubstr("unit"));
  EXPECT_THAT(ErrorOf("keep_ended: -1s\n"), HasSubstr("unit"));
  EXPECT_EQ(ErrorOf("keep_ended: 0s\n"), "");
}

TEST_F(ConfigTest, WrongTypesAreErrors) {
  EXPECT_THAT(ErrorOf("limits: 3\n"),
              HasSubstr("key 'limits': expected a section"));
  EXPECT_THAT(ErrorOf("limits: {max_runs: [1]}\n"),
              HasSubstr("not a single value"));
  EXPECT_THAT(ErrorOf("limits: {max_runs: 1.5}\n"),
              HasSubstr("a whole number, 1 … 100000"));
  EXPECT_THAT(ErrorOf("limits: {max_runs: }\n"), HasSubstr("no value"));
  EXPECT_THAT(ErrorOf("detect: {rank_outlier: {margin: .nan}}\n"),
              HasSubstr("not allowed"));
  EXPECT_THAT(ErrorOf("- a\n"), HasSubstr("musterd.yaml:1: the file must be"));
  EXPECT_THAT(ErrorOf("data_dir: a\nlog_level: info\ndata_dir: b\n"),
              HasSubstr("musterd.yaml:3: key 'data_dir': given twice"));
  EXPECT_THAT(ErrorOf("a: b\n---\nc: d\n"), HasSubstr("only one YAML"));
  EXPECT_THAT(ErrorOf("limits: {\n"), HasSubstr("not valid YAML"));
}

TEST_F(ConfigTest, FieldsThatContradictEachOtherAreErrors) {
  EXPECT_THAT(ErrorOf("detect: {rank_outlier: {warmup_frames: 300}}\n"),
              StartsWith("musterd.yaml: detect.rank_outlier.warmup_frames"));
  EXPECT_THAT(ErrorOf("detect: {rank_outlier: {budget: 0.9}}\n"),
              StartsWith("musterd.yaml: detect.budgets of all kinds together"));
}

TEST_F(ConfigTest, WhatTheTableAllowsTheDetectorsAllow) {
  // At the ends of each range, which "allowed" states last: "…, MIN … MAX".
  int checked = 0;
  for (const ConfigField& field : ConfigFields()) {
    if (!field.key.starts_with("detect.")) continue;
    if (field.allowed.starts_with("one of ")) continue;
    if (field.allowed == "a path") continue;
    // One kind may have all of it, if the others have none.
    if (field.key.ends_with(".budget")) continue;
    const size_t between = field.allowed.rfind(" … ");
    const size_t comma = field.allowed.rfind(", ", between);
    ASSERT_NE(between, std::string::npos) << field.key;
    for (const std::string& end :
         {field.allowed.substr(comma + 2, between - comma - 2),
          field.allowed.substr(between + std::string(" … ").size())}) {
      Config config;
      // Not the contradiction of the test above.
      config.detect.rank_outlier.warmup_frames = 1;
      config.detect.rank_outlier.spread_frames = 65536;
      EXPECT_TRUE(field.set(end, config)) << field.key << " " << end;
      EXPECT_EQ(detect::Validate(config.detect), "") << field.key;
      ++checked;
    }
  }
  EXPECT_GE(checked, 26);
}

TEST_F(ConfigTest, EachKindHasModeAndSeverity) {
  for (int kind = 0; kind < detect::kKindCount; ++kind) {
    const detect::KindInfo& info =
        detect::InfoOf(static_cast<detect::Kind>(kind));
    const std::string section = std::string("detect.") + info.key;
    Config config;
    EXPECT_TRUE(SetField(section + ".mode", "off", config).ok()) << section;
    EXPECT_TRUE(SetField(section + ".severity", "critical", config).ok());
    EXPECT_EQ(config.detect.kinds[kind].mode, detect::Mode::kOff);
    EXPECT_EQ(config.detect.kinds[kind].severity, detect::Severity::kCritical);
  }
}

TEST_F(ConfigTest, AddressesAreChecked) {
  for (const char* good : {"127.0.0.1:0", "host.example:65535", "[::]:7600",
                           "unix:/run/muster.sock"}) {
    Config config;
    EXPECT_TRUE(SetField("grpc_address", good, config).ok()) << good;
  }
  for (const char* bad : {"", "7600", ":7600", "host:", "host:65536",
                          "::1:7600", "host:7x", "unix:", "http://host:1"}) {
    Config config;
    EXPECT_FALSE(SetField("grpc_address", bad, config).ok()) << bad;
  }
  Config config;
  EXPECT_FALSE(SetField("http_address", "unix:/run/muster.sock", config).ok());
}

TEST_F(ConfigTest, AnErrorLeavesTheConfigurationAsItWas) {
  Config config;
  EXPECT_FALSE(
      ApplyYaml("data_dir: /tmp/x\nlog_level: loud\n", "a", config).ok());
  EXPECT_EQ(config.data_dir, "");
}

TEST_F(ConfigTest, PrintedConfigurationReadsBackToItself) {
  Config config;
  config.data_dir = "/a \"quoted\" \\ path: # …";
  config.log_format = LogFormat::kJson;
  config.limits.max_runs = 7;
  config.frames.frame_timeout = absl::Milliseconds(1500);
  config.detect.rank_outlier.margin = 1.0 / 3;
  config.alerts.max_alive = 9;
  config.keep_ended = absl::ZeroDuration();
  const std::string yaml = ToYaml(config);
  Config again;
  const absl::Status status = ApplyYaml(yaml, "printed", again);
  ASSERT_TRUE(status.ok()) << status << "\n" << yaml;
  EXPECT_EQ(ToYaml(again), yaml);
  EXPECT_EQ(again.data_dir, config.data_dir);
  EXPECT_EQ(again.detect.rank_outlier.margin, 1.0 / 3);
  EXPECT_EQ(again.frames.frame_timeout, absl::Milliseconds(1500));
  EXPECT_EQ(again.keep_ended, absl::ZeroDuration());
}

TEST_F(ConfigTest, KeysAreUniqueAndExplained) {
  std::set<std::string> keys;
  for (const ConfigField& field : ConfigFields()) {
    EXPECT_TRUE(keys.insert(field.key).second) << field.key;
    EXPECT_THAT(ToYaml(Config()), HasSubstr(field.help));
    if (!field.items.empty()) continue;
    EXPECT_FALSE(field.print(Config()).empty()) << field.key;
  }
}

TEST_F(ConfigTest, ReadsListsOfReceivers) {
  Config config;
  const absl::Status status = ApplyYaml(
      "sinks:\n"
      "  external_url: https://muster.example\n"
      "  dashboard_url: https://grafana.example/d/run?var-run={run}\n"
      "  alertmanagers:\n"
      "    - url: http://a:9093/\n"
      "      bearer_token_file: /run/token\n"
      "    - {name: second, url: 'https://b', resend_interval: 30s,\n"
      "       username: me, password_env: PASSWORD, ca_file: ca.pem}\n"
      "  webhooks:\n"
      "    - url: http://hook\n"
      "      secret_file: /run/key\n"
      "      states: all\n",
      "musterd.yaml", config);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(config.sinks.alertmanagers.size(), 2u);
  const auto& first = config.sinks.alertmanagers[0];
  EXPECT_EQ(first.name, "a:9093");
  EXPECT_EQ(first.endpoint.bearer_token.file, "/run/token");
  EXPECT_EQ(first.resend_interval, absl::Minutes(1));
  const auto& second = config.sinks.alertmanagers[1];
  EXPECT_EQ(second.name, "second");
  EXPECT_EQ(second.endpoint.url, "https://b");
  EXPECT_EQ(second.endpoint.username, "me");
  EXPECT_EQ(second.endpoint.password.variable, "PASSWORD");
  EXPECT_EQ(second.resend_interval, absl::Seconds(30));
  ASSERT_EQ(config.sinks.webhooks.size(), 1u);
  EXPECT_EQ(config.sinks.webhooks[0].secret.file, "/run/key");
  EXPECT_TRUE(config.sinks.webhooks[0].all_states);
  // Read back, and a list takes the place of another.
  const std::string yaml = ToYaml(config);
  const absl::Status again = ApplyYaml(yaml, "printed", config);
  ASSERT_TRUE(again.ok()) << again << "\n" << yaml;
  EXPECT_EQ(config.sinks.alertmanagers.size(), 2u);
  EXPECT_EQ(ToYaml(config), yaml);
  ASSERT_TRUE(ApplyYaml("sinks: {webhooks: []}", "a", config).ok());
  EXPECT_TRUE(config.sinks.webhooks.empty());
}

TEST_F(ConfigTest, ReceiversThatMakeNoSenseAreErrors) {
  const auto error_of = [](const std::string& item) {
    return ErrorOf("sinks:\n  webhooks:\n    - " + item + "\n");
  };
  EXPECT_EQ(error_of("name: chat"),
            "musterd.yaml:3: key 'sinks.webhooks': 'url' is missing");
  EXPECT_THAT(error_of("url: ftp://a"),
              StartsWith("musterd.yaml:3: key 'sinks.webhooks.url': this value "
                         "is not allowed; allowed: http:// or https://"));
  EXPECT_THAT(
      error_of("{url: 'http://a', secret: geheim}"),
      StartsWith(
          "musterd.yaml:3: key 'sinks.webhooks.secret': no such "
          "key; allowed here: name, url, url_file, url_env, secret_file"));
  EXPECT_THAT(error_of("{url: 'http://a', secret_file: a, secret_env: B}"),
              HasSubstr("secret_file and secret_env exclude each other"));
  EXPECT_THAT(error_of("{url: 'http://a', username: me}"),
              HasSubstr("needs password_file or password_env"));
  EXPECT_THAT(error_of("{url: 'http://a', password_env: B}"),
              HasSubstr("username needs"));
  EXPECT_THAT(error_of("{url: 'http://a', username: me, password_env: B, "
                       "bearer_token_env: C}"),
              HasSubstr("exclude each other"));
  EXPECT_THAT(error_of("{url: 'http://a', key_file: b}"),
              HasSubstr("need each other"));
  EXPECT_THAT(error_of("url: http://a\n    - url: http://a/b"),
              HasSubstr("musterd.yaml:4: key 'sinks.webhooks': a second one "
                        "named 'a'"));
  EXPECT_THAT(error_of("http://a"), HasSubstr("expected a section with keys"));
  EXPECT_THAT(ErrorOf("sinks: {webhooks: {url: 'http://a'}}"),
              HasSubstr("not a list"));
  EXPECT_THAT(ErrorOf("sinks: {alertmanagers: [{url: 'http://a?x=1'}]}"),
              HasSubstr("no query"));
  EXPECT_THAT(ErrorOf("sinks: {alertmanager: []}"),
              HasSubstr("allowed here: external_url, dashboard_url, "
                        "alertmanagers, webhooks"));
}

TEST_F(ConfigTest, AddressesAreShownWithoutWhatMayBeSecret) {
  Config config;
  const absl::Status status = ApplyYaml(
      "sinks:\n"
      "  alertmanagers:\n"
      "    - url: http://am:9093/\n"
      "    - {name: b, url: 'https://am/geheim'}\n"
      "  webhooks:\n"
      "    - url: https://hooks.example:8443/services/geheim?token=geheim\n"
      "    - {name: file, url_file: /run/url}\n"
      "    - {name: env, url_env: HOOK_URL}\n"
      "remote_write: {url: 'http://p/geheim'}\n",
      "a", config);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(config.sinks.webhooks[1].endpoint.url_place.file, "/run/url");
  EXPECT_EQ(config.sinks.webhooks[2].endpoint.url_place.variable, "HOOK_URL");
  const std::string yaml = ToYaml(config);
  EXPECT_THAT(yaml, HasSubstr("url: \"http://am:9093/\"\n"));
  EXPECT_THAT(yaml, HasSubstr("url: \"https://hooks.example:8443/…\"  # the "
                              "rest is not shown\n"));
  EXPECT_THAT(yaml, HasSubstr("url: \"https://am/…\"  # the rest"));
  EXPECT_THAT(yaml, HasSubstr("url_file: \"/run/url\""));
  EXPECT_EQ(yaml.substr(yaml.find("\nsinks:")).find("geheim"),
            std::string::npos);
  // Nobody posts to half an address by mistake.
  EXPECT_THAT(std::string(ApplyYaml(yaml, "printed", config).message()),
              HasSubstr("shortened with …"));
}

TEST_F(ConfigTest, WhatIsKeptWithARunIsWhatItIsJudgedBy) {
  Config config;
  ASSERT_TRUE(ApplyYaml("detect: {rank_outlier: {mode: observe}}\n"
                        "alerts: {resolve_frames: 3}\n"
                        "remote_write: {url: 'http://p/geheim'}\n"
                        "sinks: {webhooks: [{url: 'http://w/geheim'}]}\n",
                        "a", config)
                  .ok());
  const std::string yaml = ToJudgingYaml(config);
  EXPECT_EQ(yaml.find("geheim"), std::string::npos);
  EXPECT_EQ(yaml.find("sinks"), std::string::npos);
  Config again;
  ASSERT_TRUE(ApplyYaml(yaml, "stored", again).ok());
  EXPECT_EQ(ToJudgingYaml(again), yaml);
  EXPECT_EQ(again.alerts.resolve_frames, 3);
}

TEST_F(ConfigTest, AnAddressHasOnePlace) {
  const auto error_of = [](const std::string& item) {
    return ErrorOf("sinks:\n  webhooks:\n    - " + item + "\n");
  };
  EXPECT_THAT(error_of("{name: a, url: 'http://a', url_file: b}"),
              HasSubstr("url excludes url_file and url_env"));
  EXPECT_THAT(error_of("{name: a, url_file: b, url_env: C}"),
              HasSubstr("url_file and url_env exclude each other"));
  EXPECT_THAT(error_of("{url_file: b}"), HasSubstr("need a 'name'"));
}

TEST_F(ConfigTest, SecretsInTheWrongPlaceAreNotShown) {
  for (const char* yaml :
       {"sinks: {webhooks: [{url: 'http://me:geheim@host'}]}",
        "sinks: {alertmanagers: [{url: 'https://geheim@host'}]}",
        "sinks: {external_url: 'https://me:geheim@host'}",
        "sinks: {webhooks: [{url: 'http://a', secret_env: 'geheim!'}]}"}) {
    const std::string error = ErrorOf(yaml);
    EXPECT_THAT(error, HasSubstr("not allowed")) << yaml;
    EXPECT_EQ(error.find("geheim"), std::string::npos) << error;
  }
  EXPECT_THAT(ErrorOf("sinks: {webhooks: [{url: 'http://me:x@host'}]}"),
              HasSubstr("no user or password"));
}

TEST_F(ConfigTest, FilesThatCannotBeReadAreNamed) {
  Config config;
  EXPECT_THAT(
      std::string(ApplyYamlFile(folder_ + "/none.yaml", config).message()),
      HasSubstr("none.yaml: cannot read the configuration: No such file"));
  EXPECT_THAT(std::string(ApplyYamlFile(folder_, config).message()),
              HasSubstr("cannot read the configuration: it is a folder"));
  std::ofstream(folder_ + "/bad.yaml") << "\n\nfoo: 1\n";
  EXPECT_THAT(
      std::string(ApplyYamlFile(folder_ + "/bad.yaml", config).message()),
      HasSubstr("/bad.yaml:3: key 'foo'"));
  std::ofstream(folder_ + "/empty.yaml") << "";
  EXPECT_TRUE(ApplyYamlFile(folder_ + "/empty.yaml", config).ok());
}

TEST_F(ConfigTest, DataDirIsCreatedAndMustBeWritable) {
  EXPECT_TRUE(PrepareDataDir("").ok());
  const std::string deep = folder_ + "/a/b";
  ASSERT_TRUE(PrepareDataDir(deep).ok());
  EXPECT_TRUE(std::filesystem::is_directory(deep));
  EXPECT_TRUE(std::filesystem::is_empty(deep));
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_THAT(std::string(PrepareDataDir(folder_ + "/file").message()),
              HasSubstr("/file': "));
  EXPECT_THAT(std::string(PrepareDataDir(folder_ + "/file/c").message()),
              HasSubstr("/file/c': cannot create the folder: Not a directory"));
  // Writable for nobody, root included.
  EXPECT_THAT(std::string(PrepareDataDir("/proc").message()),
              HasSubstr("data_dir '/proc': cannot write there: "));
}

TEST_F(ConfigTest, LoopbackIsToldFromWiderAddresses) {
  for (const char* narrow : {"127.0.0.1:1", "127.1.2.3:1", "localhost:1",
                             "[::1]:1", "unix:/run/x"}) {
    EXPECT_TRUE(IsLoopback(narrow)) << narrow;
  }
  for (const char* wide : {"0.0.0.0:1", "[::]:1", "10.1.2.3:1", "host:1"}) {
    EXPECT_FALSE(IsLoopback(wide)) << wide;
  }
  EXPECT_EQ(SplitHostPort("[::1]:7600").host, "::1");
  EXPECT_EQ(SplitHostPort("host:7600").port, 7600);
}

}  // namespace
}  // namespace muster
