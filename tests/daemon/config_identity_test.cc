#include <string>

#include "daemon/config.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

std::string ErrorOf(const std::string& yaml) {
  Config config;
  return std::string(ApplyYaml(yaml, "m.yaml", config).message());
}

constexpr char kAll[] = R"(tls:
  cert_file: c.pem
  key_file: k.pem
  client_ca_file: ca.pem
  require_client_certificate: false
  http: false
auth:
  tokens_file: tokens
  rules:
  - identity: "token:team-a"
    runs: [team-a-*, shared]
    verbs: report
  - {identity: "certificate:*.example", verbs: [report, query]}
  - identity: anyone
    runs: public
    verbs: query
)";

TEST(ConfigIdentityTest, ReadsAndPrintsAll) {
  Config config;
  ASSERT_TRUE(ApplyYaml(kAll, "m.yaml", config).ok()) << ErrorOf(kAll);
  const identity::Options& identity = config.identity;
  EXPECT_EQ(identity.tls.cert_file, "c.pem");
  EXPECT_EQ(identity.tls.key_file, "k.pem");
  EXPECT_EQ(identity.tls.client_ca_file, "ca.pem");
  EXPECT_FALSE(identity.tls.require_client_certificate);
  EXPECT_FALSE(identity.tls.http);
  EXPECT_EQ(identity.auth.tokens_file, "tokens");
  ASSERT_EQ(identity.auth.rules.size(), 3u);
  EXPECT_EQ(identity.auth.rules[0].identity, "token:team-a");
  EXPECT_EQ(identity.auth.rules[0].runs, "team-a-*, shared");
  EXPECT_EQ(identity.auth.rules[0].verbs, "report");
  EXPECT_EQ(identity.auth.rules[1].runs, "*");
  EXPECT_EQ(identity.auth.rules[1].verbs, "report, query");
  EXPECT_EQ(identity.auth.rules[2].identity, "anyone");

  Config again;
  ASSERT_TRUE(ApplyYaml(ToYaml(config), "printed", again).ok());
  EXPECT_EQ(ToYaml(again), ToYaml(config));
}

TEST(ConfigIdentityTest, NamesWhatIsMissingOrWrong) {
  EXPECT_EQ(ErrorOf("tls: {cert_file: c}"),
            "m.yaml: tls: cert_file and key_file need each other");
  EXPECT_EQ(ErrorOf("tls: {client_ca_file: c}"),
            "m.yaml: tls: client_ca_file needs cert_file and key_file");
  EXPECT_EQ(ErrorOf("auth: {rules: [{identity: 'token:a'}]}"),
            "m.yaml: auth.rules: identity token:a needs auth.tokens_file");
  EXPECT_EQ(
      ErrorOf("auth: {rules: [{identity: 'certificate:a'}]}"),
      "m.yaml: auth.rules: identity certificate:a needs tls.client_ca_file");
  EXPECT_EQ(ErrorOf("auth:\n  rules:\n  - {identity: a}\n"),
            "m.yaml:3: key 'auth.rules': 'identity' must be token:NAME, "
            "certificate:NAME or anyone");
  EXPECT_EQ(ErrorOf("auth:\n  rules:\n  - {identity: anyone, verbs: write}\n"),
            "m.yaml:3: key 'auth.rules': 'verbs': write is none of report, "
            "query, metrics");
  EXPECT_EQ(ErrorOf("auth: {rules: [{identity: anyone, runs: [[a]]}]}"),
            "m.yaml:1: key 'auth.rules.runs': not a single value; allowed: "
            "patterns of run ids");
}

}  // namespace
}  // namespace muster
