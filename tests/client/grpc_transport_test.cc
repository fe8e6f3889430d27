// The client over real gRPC, against a small daemon in this process.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "muster/client.h"
#include "tests/client/lite_server.h"

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

// Removed with all in it at the end of its scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "musterXXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string File(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Lines that a client logs.
class Log {
 public:
  void Add(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_ += line + "\n";
    changed_.notify_all();
  }
  bool WaitForText(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(20), [&] {
      return lines_.find(text) != std::string::npos;
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string lines_;
};

std::unique_ptr<Client> Start(const std::string& address, Log* log = nullptr,
                              milliseconds flush_timeout = seconds(10),
                              uint32_t width = 64) {
  Options options;
  options.address = address;
  options.run_id = "run-1";
  options.sketch.width = width;
  options.flush_timeout = flush_timeout;
  options.log = [log](const std::string& line) {
    if (log != nullptr) log->Add(line);
  };
  std::string error;
  std::unique_ptr<Client> client = Client::Start(options, &error);
  EXPECT_NE(client, nullptr) << error;
  return client;
}

void MakeSteps(Client& client, uint64_t first, uint64_t last) {
  for (uint64_t step = first; step <= last; ++step) {
    client.EndStep({.step = step});
  }
}

TEST(GrpcTransportTest, DeliversReportsAndGoodbye) {
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

TEST(GrpcTransportTest, DeliversOverAUnixSocket) {
  const TemporaryFolder folder;
  const std::string address = "unix:" + folder.File("socket");
  LiteServer server(address);
  ASSERT_TRUE(server.running());
  const std::unique_ptr<Client> client = Start(address);
  MakeSteps(*client, 1, 3);
  client->Stop();
  EXPECT_EQ(client->GetStats().acknowledged, 3u);
}

TEST(GrpcTransportTest, CarriesTheWidestSketchesInSeveralMessages) {
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

TEST(GrpcTransportTest, SendsAgainAfterTheDaemonRestarts) {
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

TEST(GrpcTransportTest, ADeadDaemonIsToldAndCostsNoMoreThanTheFlush) {
  Log log;
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

TEST(GrpcTransportTest, APeerThatNeverAnswersCostsNoMoreThanTheFlush) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(name);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&name), length), 0);
  ASSERT_EQ(listen(listener, 4), 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&name), &length);
  const std::unique_ptr<Client> client =
      Start("127.0.0.1:" + std::to_string(ntohs(name.sin_port)), nullptr,
            milliseconds(300));
  MakeSteps(*client, 1, 3);
  const auto start = steady_clock::now();
  client->Stop();
  EXPECT_LT(steady_clock::now() - start, seconds(5));
  close(listener);
}

TEST(GrpcTransportTest, AnUnreadableCertificateIsNamed) {
  setenv("MUSTER_CA_FILE", "/nonexistent/ca.pem", 1);
  Log log;
  const std::unique_ptr<Client> client =
      Start("tls://127.0.0.1:1", &log, milliseconds(1));
  EXPECT_TRUE(
      log.WaitForText("MUSTER_CA_FILE: cannot read /nonexistent/ca.pem"));
  client->Stop();
  unsetenv("MUSTER_CA_FILE");
}

TEST(GrpcTransportTest, DeliversOverTls) {
  const TemporaryFolder folder;
  const std::string key = folder.File("key.pem");
  const std::string certificate = folder.File("certificate.pem");
  const std::string command =
      "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost "
      "-addext subjectAltName=DNS:localhost -keyout " +
      key + " -out " + certificate + " 2>/dev/null";
  if (std::system(command.c_str()) != 0) GTEST_SKIP() << "no openssl command";
  const auto read = [](const std::string& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  grpc::SslServerCredentialsOptions tls;
  tls.pem_key_cert_pairs.push_back({read(key), read(certificate)});
  LiteServer server("127.0.0.1:0", grpc::SslServerCredentials(tls));
  setenv("MUSTER_CA_FILE", certificate.c_str(), 1);
  const std::unique_ptr<Client> client =
      Start("tls://localhost:" + std::to_string(server.port()));
  MakeSteps(*client, 1, 3);
  client->Stop();
  unsetenv("MUSTER_CA_FILE");
  EXPECT_EQ(client->GetStats().acknowledged, 3u);
}

TEST(GrpcTransportTest, AForkedChildLeavesTheStreamAlone) {
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

TEST(GrpcTransportTest, ManyClientsStartAndStopInOneProcess) {
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
