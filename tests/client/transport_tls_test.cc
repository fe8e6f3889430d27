// tls:// addresses over each transport, against a grpc++ daemon.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "client/src/client_impl.h"
#include "muster/client.h"
#include "tests/client/lite_server.h"
#include "tests/client/log_lines.h"
#include "tests/client/transports_under_test.h"
#include "tests/testing/authority.h"

// The distribution's c-ares loses 10 bytes for each host name it resolves.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libcares.so";
}

namespace muster {
namespace {

using std::chrono::milliseconds;

class TransportTlsTest : public testing::TestWithParam<TransportUnderTest> {
 protected:
  void SetUp() override {
    if (!authority_.Create()) GTEST_SKIP() << "no openssl command";
    ASSERT_TRUE(authority_.Vouch("daemon", "DNS:localhost,IP:127.0.0.1"));
  }

  std::unique_ptr<LiteServer> Serve(bool asks_for_certificate = false) const {
    grpc::SslServerCredentialsOptions tls(
        asks_for_certificate
            ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
            : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    tls.pem_root_certs = authority_.Text("ca.pem");
    tls.pem_key_cert_pairs.push_back(
        {authority_.Text("daemon.key"), authority_.Text("daemon.pem")});
    return std::make_unique<LiteServer>("127.0.0.1:0",
                                        grpc::SslServerCredentials(tls));
  }

  // Three reports; true if all are acknowledged.
  bool Deliver(const std::string& address, const TlsFiles& files,
               LogLines* log = nullptr, bool patient = true) const {
    Options options;
    options.address = address;
    options.run_id = "run-1";
    options.sketch.width = 64;
    options.flush_timeout = milliseconds(patient ? 10'000 : 1);
    options.log = [log](const std::string& line) {
      if (log != nullptr) log->Add(line);
    };
    std::string error;
    Address parsed;
    EXPECT_TRUE(ParseAddress(address, &parsed, &error)) << error;
    const std::unique_ptr<Client> client = StartClient(
        options,
        [parsed, files, make = GetParam().make] { return make(parsed, files); },
        std::chrono::steady_clock::now, &error);
    EXPECT_NE(client, nullptr) << error;
    for (uint64_t step = 1; step <= 3; ++step) client->EndStep({.step = step});
    if (!patient) {
      EXPECT_TRUE(log->WaitForText("cannot reach the daemon"));
    }
    client->Stop();
    return client->GetStats().acknowledged == 3;
  }

  Authority authority_;
};

INSTANTIATE_TEST_SUITE_P(Each, TransportTlsTest,
                         testing::ValuesIn(TransportsUnderTest()),
                         [](const auto& info) { return info.param.name; });

TEST_P(TransportTlsTest, DeliversToANameAndToANumber) {
  const auto server = Serve();
  const TlsFiles files = {.ca = authority_.File("ca.pem")};
  const std::string port = std::to_string(server->port());
  EXPECT_TRUE(Deliver("tls://localhost:" + port, files));
  EXPECT_TRUE(Deliver("tls://127.0.0.1:" + port, files));
}

TEST_P(TransportTlsTest, DeliversWithACertificateOfItsOwn) {
  ASSERT_TRUE(authority_.Vouch("client", "DNS:rank-0"));
  const auto server = Serve(true);
  EXPECT_TRUE(Deliver("tls://localhost:" + std::to_string(server->port()),
                      {.ca = authority_.File("ca.pem"),
                       .certificate = authority_.File("client.pem"),
                       .key = authority_.File("client.key")}));
}

TEST_P(TransportTlsTest, IsRefusedWithoutTheCertificateThatIsAskedFor) {
  const auto server = Serve(true);
  LogLines log;
  EXPECT_FALSE(Deliver("tls://localhost:" + std::to_string(server->port()),
                       {.ca = authority_.File("ca.pem")}, &log, false));
}

TEST_P(TransportTlsTest, RefusesACertificateOfAnotherAuthority) {
  Authority other;
  ASSERT_TRUE(other.Create());
  const auto server = Serve();
  LogLines log;
  EXPECT_FALSE(Deliver("tls://localhost:" + std::to_string(server->port()),
                       {.ca = other.File("ca.pem")}, &log, false));
  if (GetParam().name == "Http2") {
    EXPECT_TRUE(log.WaitForText("TLS: the daemon's certificate: "));
  }
  // Nor do the system's authorities vouch for it.
  LogLines system_log;
  EXPECT_FALSE(Deliver("tls://localhost:" + std::to_string(server->port()), {},
                       &system_log, false));
}

TEST_P(TransportTlsTest, RefusesACertificateForAnotherHost) {
  ASSERT_TRUE(authority_.Vouch("daemon", "DNS:elsewhere,IP:127.0.0.2"));
  const auto server = Serve();
  const TlsFiles files = {.ca = authority_.File("ca.pem")};
  const std::string port = std::to_string(server->port());
  LogLines log;
  EXPECT_FALSE(Deliver("tls://localhost:" + port, files, &log, false));
  LogLines number_log;
  EXPECT_FALSE(Deliver("tls://127.0.0.1:" + port, files, &number_log, false));
  if (GetParam().name == "Http2") {
    EXPECT_TRUE(log.WaitForText("hostname mismatch"));
    EXPECT_TRUE(number_log.WaitForText("IP address mismatch"));
  }
}

TEST_P(TransportTlsTest, ADaemonWithoutTlsIsNotReached) {
  LiteServer server("127.0.0.1:0");
  LogLines log;
  EXPECT_FALSE(Deliver("tls://localhost:" + std::to_string(server.port()),
                       {.ca = authority_.File("ca.pem")}, &log, false));
}

TEST_P(TransportTlsTest, AnUnreadableFileIsNamed) {
  LogLines log;
  EXPECT_FALSE(
      Deliver("tls://127.0.0.1:1", {.ca = "/nonexistent/ca.pem"}, &log, false));
  EXPECT_TRUE(
      log.WaitForText("MUSTER_CA_FILE: cannot read /nonexistent/ca.pem"));
}

TEST(TlsFilesTest, ComeFromTheEnvironment) {
  setenv("MUSTER_CA_FILE", "/a", 1);
  setenv("MUSTER_CERT_FILE", "/b", 1);
  unsetenv("MUSTER_KEY_FILE");
  const TlsFiles files = TlsFiles::FromEnvironment();
  unsetenv("MUSTER_CA_FILE");
  unsetenv("MUSTER_CERT_FILE");
  EXPECT_EQ(files.ca, "/a");
  EXPECT_EQ(files.certificate, "/b");
  EXPECT_EQ(files.key, "");
}

}  // namespace
}  // namespace muster
