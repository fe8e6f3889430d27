// The client over each transport, against a small grpc++ daemon in this
// process.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client/src/client_impl.h"
#include "muster/client.h"
#include "tests/client/lite_server.h"
#include "tests/client/log_lines.h"
#include "tests/client/transports_under_test.h"
#include "tests/testing/temporary_folder.h"

// The distribution's c-ares loses 10 bytes for each host name it resolves.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libcares.so";
}

namespace muster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using Record = LiteServer::Record;

class TransportTest : public testing::TestWithParam<TransportUnderTest> {
 protected:
  static std::unique_ptr<Client> Start(const std::string& address,
                                       LogLines* log = nullptr,
                                       milliseconds flush_timeout = seconds(10),
                                       uint32_t width = 64,
                                       const TlsFiles& files = {}) {
    Options options;
    options.address = address;
    options.run_id = "run-1";
    options.sketch.width = width;
    options.flush_timeout = flush_timeout;
    options.log = [log](const std::string& line) {
      if (log != nullptr) log->Add(line);
    };
    std::string error;
    Address parsed;
    EXPECT_TRUE(ParseAddress(address, &parsed, &error)) << error;
    std::unique_ptr<Client> client = StartClient(
        options,
        [parsed, files, make = GetParam().make] { return make(parsed, files); },
        steady_clock::now, &error);
    EXPECT_NE(client, nullptr) << error;
    return client;
  }
};

INSTANTIATE_TEST_SUITE_P(Each, TransportTest,
                         testing::ValuesIn(TransportsUnderTest()),
                         [](const auto& info) { return info.param.name; });

void MakeSteps(Client& client, uint64_t first, uint64_t last) {
  for (uint64_t step = first; step <= last; ++step) {
    client.EndStep({.step = step});
  }
}

TEST_P(TransportTest, DeliversReportsAndGoodbye) {
  LiteServer server("127.0.0.1:0");
  const std::unique_ptr<Client> client = Start(server.address());
  MakeSteps(*client, 1, 100);
  client->Stop();
  EXPECT_EQ(client->GetStats().acknowledged, 100u);
  ASSERT_TRUE(server.WaitFor(
      [](const Record& record) { return record.streams_ended == 1; }));
  server.WaitFor([](const Record& record) {
    EXPECT_EQ(record.steps().size(), 100u);
    EXPECT_TRUE(record.messages.front().has_hello());
    EXPECT_TRUE(record.messages.back().has_goodbye());
    return true;
  });
}

TEST_P(TransportTest, DeliversOverAUnixSocket) {
  const TemporaryFolder folder;
  const std::string address = "unix:" + folder.File("socket");
  LiteServer server(address);
  ASSERT_TRUE(server.running());
  const std::unique_ptr<Client> client = Start(address);
  MakeSteps(*client, 1, 3);
  client->Stop();
  EXPECT_EQ(client->GetStats().acknowledged, 3u);
}

TEST_P(TransportTest, CarriesTheWidestSketchesInSeveralMessages) {
  LiteServer server("127.0.0.1:0");
  const std::unique_ptr<Client> client =
      Start(server.address(), nullptr, seconds(10), 65536);
  const std::vector<float> gradient(1 << 17, 0.5f);
  for (uint64_t step = 1; step <= 20; ++step) {
    client->Observe(0, gradient.data(), gradient.size(), DataType::kFloat32);
    client->EndStep({.step = step});
  }
  client->Stop();
  EXPECT_EQ(client->GetStats().acknowledged, 20u);
  server.WaitFor([](const Record& record) {
    for (const v1::ClientMessage& message : record.messages) {
      EXPECT_LE(message.ByteSizeLong(), size_t{1} << 20);
    }
    return true;
  });
}

TEST_P(TransportTest, SendsAgainAfterTheDaemonRestarts) {
  auto server = std::make_unique<LiteServer>("127.0.0.1:0");
  const std::string address = server->address();
  server->SetAcknowledging(false);
  const std::unique_ptr<Client> client = Start(address);
  MakeSteps(*client, 1, 3);
  ASSERT_TRUE(server->WaitFor(
      [](const Record& record) { return record.steps().size() == 3; }));
  server.reset();
  MakeSteps(*client, 4, 5);
  LiteServer restarted(address);
  ASSERT_TRUE(restarted.running());
  ASSERT_TRUE(restarted.WaitFor(
      [](const Record& record) { return record.steps().size() == 5; }));
  client->Stop();
  EXPECT_EQ(client->GetStats().acknowledged, 5u);
  EXPECT_EQ(client->GetStats().reconnects, 1u);
}

TEST_P(TransportTest, ADeadDaemonIsToldAndCostsNoMoreThanTheFlush) {
  LogLines log;
  // Nothing listens on port 1.
  const std::unique_ptr<Client> client =
      Start("127.0.0.1:1", &log, milliseconds(300));
  MakeSteps(*client, 1, 3);
  EXPECT_TRUE(log.WaitForText("cannot reach the daemon at 127.0.0.1:1"));
  const auto start = steady_clock::now();
  client->Stop();
  EXPECT_LT(steady_clock::now() - start, seconds(5));
  EXPECT_EQ(client->GetStats().dropped, 3u);
}

TEST_P(TransportTest, ReachesTheDaemonByNameAndOverIpv6) {
  LiteServer named("127.0.0.1:0");
  LiteServer six("[::1]:0");
  if (!six.running() || six.port() == 0) GTEST_SKIP() << "no IPv6 here";
  for (const std::string& address :
       {"localhost:" + std::to_string(named.port()),
        "[::1]:" + std::to_string(six.port())}) {
    const std::unique_ptr<Client> client = Start(address);
    MakeSteps(*client, 1, 3);
    client->Stop();
    EXPECT_EQ(client->GetStats().acknowledged, 3u) << address;
  }
}

TEST_P(TransportTest, AHostWithoutAnAddressIsNamed) {
  LogLines log;
  const std::unique_ptr<Client> client =
      Start("no.such.host.invalid:1", &log, milliseconds(1));
  EXPECT_TRUE(
      log.WaitForText("cannot reach the daemon at no.such.host.invalid:1"));
  client->Stop();
}

TEST_P(TransportTest, AForkedChildLeavesTheStreamAlone) {
  LiteServer server("127.0.0.1:0");
  const std::unique_ptr<Client> client = Start(server.address());
  MakeSteps(*client, 1, 1);
  ASSERT_TRUE(server.WaitFor(
      [](const Record& record) { return record.steps().size() == 1; }));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(10);  // a hang ends the child by a signal
    MakeSteps(*client, 100, 101);
    client->Stop();
    _exit(client->GetStats().made == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  MakeSteps(*client, 2, 2);
  client->Stop();
  EXPECT_EQ(client->GetStats().acknowledged, 2u);
  EXPECT_EQ(client->GetStats().reconnects, 0u);
}

TEST_P(TransportTest, ManyClientsStartAndStopInOneProcess) {
  LiteServer server("127.0.0.1:0");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&server] {
      for (int round = 0; round < 5; ++round) {
        const std::unique_ptr<Client> client = Start(server.address());
        MakeSteps(*client, 1, 10);
        client->Stop();
        EXPECT_EQ(client->GetStats().acknowledged, 10u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace muster
