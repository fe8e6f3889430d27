#include "daemon/config.h"
#include "daemon/config_remote_write_fields.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

absl::Status Apply(const std::string& lines, Config& config) {
  return ApplyYaml("remote_write:\n" + lines, "a.yaml", config);
}

TEST(ConfigRemoteWriteTest, ReadsBackWhatItPrints) {
  Config config;
  const absl::Status status = Apply(
      "  url: https://host/api/v1/write\n"
      "  username: me\n"
      "  password_file: /run/secrets/password\n"
      "  external_labels: \"cluster = a b, job=x=y\"\n"
      "  headers: X-Scope-OrgID=team\n"
      "  max_ranks: 8\n"
      "  resend: 15s\n",
      config);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(config.remote_write.external_labels,
              ElementsAre(Pair("cluster", "a b"), Pair("job", "x=y")));
  EXPECT_THAT(config.remote_write.headers,
              ElementsAre(Pair("X-Scope-OrgID", "team")));
  Config again;
  ASSERT_TRUE(ApplyYaml(ToYaml(config), "printed", again).ok());
  EXPECT_EQ(ToYaml(again), ToYaml(config));
  EXPECT_EQ(again.remote_write.external_labels,
            config.remote_write.external_labels);
  EXPECT_EQ(again.remote_write.endpoint.password.file, "/run/secrets/password");
  EXPECT_EQ(again.remote_write.resend, absl::Seconds(15));
}

TEST(ConfigRemoteWriteTest, NoLabelIsGivenTwiceOrIsOurOwn) {
  for (const char* bad : {"run=x", "rank=1", "__name__=x", "a=1, a=2", "1a=x",
                          "a", "a=", "=x", "a-b=x"}) {
    Config config;
    EXPECT_THAT(
        Apply(std::string("  external_labels: \"") + bad + "\"\n", config)
            .ToString(),
        HasSubstr("remote_write.external_labels"))
        << bad;
  }
}

TEST(ConfigRemoteWriteTest, HeadersCarryNoSecretsAndNoneOfOurs) {
  for (const char* bad : {"Authorization=x", "content-type=x", "a b=x"}) {
    Config config;
    EXPECT_THAT(
        Apply(std::string("  headers: \"") + bad + "\"\n", config).ToString(),
        HasSubstr("remote_write.headers"))
        << bad;
  }
}

TEST(ConfigRemoteWriteTest, WhatContradictsItselfIsNamed) {
  for (const auto& [lines, says] :
       std::vector<std::pair<const char*, const char*>>{
           {"  username: me\n", "username and its password"},
           {"  password_env: P\n", "username and its password"},
           {"  key_file: k\n", "certificate_file and key_file"},
           {"  bearer_token_file: a\n  bearer_token_env: B\n", "only one"},
           {"  username: me\n  password_env: P\n  bearer_token_env: B\n",
            "exclude each other"}}) {
    Config config;
    EXPECT_THAT(Apply(lines, config).ToString(), HasSubstr(says));
  }
}

TEST(ConfigRemoteWriteTest, AUrlWithAPasswordIsNotQuoted) {
  Config config;
  const std::string error =
      Apply("  url: http://me:geheim@host/\n", config).ToString();
  EXPECT_THAT(error, HasSubstr("remote_write: url must not have a user"));
  EXPECT_THAT(error, Not(HasSubstr("geheim")));
}

}  // namespace
}  // namespace muster
