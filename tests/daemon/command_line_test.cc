#include "daemon/command_line.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using Environment = std::map<std::string, std::string>;

absl::StatusOr<ParsedCommandLine> Parse(std::vector<const char*> arguments,
                                        const Environment& environment = {}) {
  arguments.insert(arguments.begin(), "musterd");
  return ParseCommandLine(
      static_cast<int>(arguments.size()), arguments.data(),
      [&environment](const char* name) -> const char* {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
      });
}

std::string ErrorOf(const absl::StatusOr<ParsedCommandLine>& parsed) {
  return std::string(parsed.status().message());
}

// A configuration file that sets four keys.
class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    std::string folder = ::testing::TempDir() + "muster-flags-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    file_ = folder_ + "/musterd.yaml";
    std::ofstream(file_) << "grpc_address: 127.0.0.1:1\n"
                            "http_address: 127.0.0.1:1\n"
                            "log_level: error\n"
                            "data_dir: /from/file\n";
  }
  ~CommandLineTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::string file_;
};

TEST_F(CommandLineTest, FlagsBeatEnvironmentBeatsFileBeatsDefaults) {
  const auto parsed =
      Parse({"--config", file_.c_str(), "--grpc-address", "127.0.0.1:3"},
            {{"MUSTERD_GRPC_ADDRESS", "127.0.0.1:2"},
             {"MUSTERD_HTTP_ADDRESS", "127.0.0.1:2"}});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_FALSE(parsed->output.has_value());
  EXPECT_EQ(parsed->config.grpc_address, "127.0.0.1:3");
  EXPECT_EQ(parsed->config.http_address, "127.0.0.1:2");
  EXPECT_EQ(parsed->config.log_level, "error");
  EXPECT_EQ(parsed->config.log_format, LogFormat::kText);
}

TEST_F(CommandLineTest, OtherAndEmptyVariablesAreIgnored) {
  const auto parsed = Parse(
      {}, {{"MUSTERD_PORT", "tcp://10.0.0.1:7600"}, {"MUSTERD_LOG_LEVEL", ""}});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.log_level, "info");
}

TEST_F(CommandLineTest, AnEmptyFlagClears) {
  const auto parsed = Parse({"--config", file_.c_str(), "--data-dir", ""});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.data_dir, "");
}

TEST_F(CommandLineTest, ErrorsNameTheirOrigin) {
  EXPECT_EQ(ErrorOf(Parse({"--log-format", "xml"})),
            "--log-format: 'xml' is not allowed; allowed: one of text, json");
  EXPECT_THAT(ErrorOf(Parse({}, {{"MUSTERD_GRPC_ADDRESS", "7600"}})),
              StartsWith("MUSTERD_GRPC_ADDRESS: '7600' is not allowed"));
  EXPECT_THAT(ErrorOf(Parse({"--config", "/no/such/file"})),
              HasSubstr("/no/such/file: cannot read"));
  EXPECT_THAT(ErrorOf(Parse({"--no-such-flag"})), HasSubstr("--no-such-flag"));
  EXPECT_THAT(ErrorOf(Parse({"stray"})), HasSubstr("stray"));
  EXPECT_THAT(ErrorOf(Parse({"--config"})), HasSubstr("--config"));
}

TEST_F(CommandLineTest, ARelayHasAnUpstream) {
  const auto relay = Parse({"--grpc-address", "unix:/run/a.sock,127.0.0.1:1",
                            "--spool-dir", "/spool"},
                           {{"MUSTERD_UPSTREAM", "central:7600"}});
  ASSERT_TRUE(relay.ok()) << relay.status();
  EXPECT_EQ(relay->config.relay.upstream, "central:7600");
  EXPECT_EQ(relay->config.relay.spool.folder, "/spool");
  EXPECT_EQ(SplitAddresses(relay->config.grpc_address).size(), 2u);
  EXPECT_THAT(ErrorOf(Parse({"--upstream", "central"})),
              StartsWith("--upstream: 'central' is not allowed"));
  EXPECT_THAT(ErrorOf(Parse({"--upstream", "central:0"})),
              StartsWith("--upstream: 'central:0' is not allowed"));
  EXPECT_THAT(ErrorOf(Parse({"--grpc-address", "127.0.0.1:1,"})),
              HasSubstr("is not allowed"));
  EXPECT_EQ(ErrorOf(Parse({"--spool-dir", "/spool"})),
            "relay.spool_dir is set, but relay.upstream is not: only a relay "
            "has a spool");
}

TEST_F(CommandLineTest, HelpAndVersionNeedNothingElse) {
  const auto help = Parse({"--help"});
  ASSERT_TRUE(help.ok()) << help.status();
  for (const char* flag :
       {"--config", "--grpc-address", "--http-address", "--data-dir",
        "--log-level", "--log-format", "--ports-file", "--upstream",
        "--spool-dir", "--check-config", "--print-config", "--version",
        "--help"}) {
    EXPECT_THAT(help->output.value_or(""), HasSubstr(flag));
  }
  const auto version = Parse({"--version"}, {{"MUSTERD_LOG_LEVEL", "bad"}});
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->output, std::string("musterd ") + DaemonVersion() + "\n");
}

TEST_F(CommandLineTest, CheckAndPrintSeeTheEffectiveConfiguration) {
  const auto check = Parse({"--config", file_.c_str(), "--check-config"});
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ(check->output, "the configuration is good\n");
  EXPECT_FALSE(Parse({"--check-config", "--log-level=loud"}).ok());

  const auto print =
      Parse({"--config", file_.c_str(), "--print-config", "--log-level=off"});
  ASSERT_TRUE(print.ok()) << print.status();
  Config again;
  ASSERT_TRUE(ApplyYaml(print->output.value_or(""), "printed", again).ok());
  EXPECT_EQ(again.log_level, "off");
  EXPECT_EQ(again.data_dir, "/from/file");
}

}  // namespace
}  // namespace muster
