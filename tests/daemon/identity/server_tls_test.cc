#include "daemon/identity/server_tls.h"

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/testing/authority.h"

namespace muster::identity {
namespace {

class ServerTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!authority_.Create()) GTEST_SKIP() << "no openssl command";
    ASSERT_TRUE(authority_.Vouch("daemon", "DNS:localhost"));
    ASSERT_TRUE(authority_.Vouch("other", "DNS:localhost"));
  }
  std::string File(const std::string& name) const {
    return authority_.File(name);
  }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(File(name)) << text;
  }
  TlsOptions Good() const {
    return {.cert_file = File("daemon.pem"),
            .key_file = File("daemon.key"),
            .client_ca_file = File("ca.pem")};
  }
  static std::string ErrorOf(const TlsOptions& options,
                             absl::Time now = absl::Now()) {
    const auto tls = LoadServerTls(options, now);
    return tls.ok() ? "" : std::string(tls.status().message());
  }

  Authority authority_;
};

TEST_F(ServerTlsTest, ReadsAPairAndWhenItExpires) {
  const absl::Time now = absl::Now();
  const auto tls = LoadServerTls(Good(), now);
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_EQ(tls->chain, authority_.Text("daemon.pem"));
  EXPECT_EQ(tls->key, authority_.Text("daemon.key"));
  EXPECT_EQ(tls->client_ca, authority_.Text("ca.pem"));
  // The test's authority vouches for a day.
  EXPECT_GT(tls->expires, now + absl::Hours(23));
  EXPECT_LE(tls->expires, now + absl::Hours(24));
}

TEST_F(ServerTlsTest, NamesFileAndReason) {
  const std::string cert = File("daemon.pem");
  const std::string key = File("daemon.key");
  TlsOptions options = Good();
  options.cert_file = File("missing.pem");
  EXPECT_EQ(ErrorOf(options),
            absl::StrCat("tls.cert_file '", options.cert_file,
                         "': cannot be read: No such file or directory"));
  options = Good();
  options.cert_file = File("");
  EXPECT_EQ(ErrorOf(options),
            absl::StrCat("tls.cert_file '", File(""), "': it is a folder"));
  options = Good();
  options.cert_file = key;
  EXPECT_EQ(ErrorOf(options), absl::StrCat("tls.cert_file '", key,
                                           "': not a certificate in PEM form"));
  options = Good();
  options.key_file = cert;
  EXPECT_EQ(
      ErrorOf(options),
      absl::StrCat("tls.key_file '", cert,
                   "': not a private key in PEM form without a password"));
  options = Good();
  options.key_file = File("other.key");
  EXPECT_EQ(ErrorOf(options),
            absl::StrCat("tls.key_file '", File("other.key"),
                         "': does not match the certificate in '", cert, "'"));
  options = Good();
  Write("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
  options.client_ca_file = File("garbage.pem");
  EXPECT_EQ(ErrorOf(options),
            absl::StrCat("tls.client_ca_file '", File("garbage.pem"),
                         "': not a certificate in PEM form"));
}

TEST_F(ServerTlsTest, RefusesWhatIsNotValidNow) {
  EXPECT_NE(ErrorOf(Good(), absl::Now() + absl::Hours(25))
                .find("daemon.pem': expired at 20"),
            std::string::npos);
  EXPECT_NE(ErrorOf(Good(), absl::Now() - absl::Hours(1))
                .find("daemon.pem': not valid before 20"),
            std::string::npos);
}

}  // namespace
}  // namespace muster::identity
