// A name service that does not answer holds up nobody.
#include "client/src/lookup.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "client/src/client_impl.h"
#include "client/src/http2_transport.h"
#include "muster/client.h"
#include "tests/client/raw_peer.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

const Address kNamed = {Address::Kind::kTcp, "daemon.example:7600"};

// Answers each question once it is released; outlives the questions.
class NameService {
 public:
  ~NameService() {
    while (asking_ > 0) std::this_thread::yield();
  }

  ResolveFunction function() {
    return [this](const Address& address, std::string* error) {
      EXPECT_EQ(address.target, kNamed.target);
      ++asking_;
      ++asked_;
      released_.wait();
      *error = error_;
      std::vector<SocketAddress> found = found_;
      --asking_;
      return found;
    };
  }
  void Release(const std::vector<SocketAddress>& found,
               const std::string& error) {
    found_ = found;
    error_ = error;
    release_.set_value();
  }
  int asked() const { return asked_; }

 private:
  std::promise<void> release_;
  std::shared_future<void> released_ = release_.get_future().share();
  std::vector<SocketAddress> found_;
  std::string error_;
  std::atomic<int> asking_ = 0;
  std::atomic<int> asked_ = 0;
};

TransportEvent Open(Transport& transport) {
  transport.Open();
  return transport.Wait(steady_clock::now() + std::chrono::seconds(20));
}

TEST(LookupTest, StopDoesNotWaitForAnAnswer) {
  NameService names;
  Options options;
  options.address = kNamed.target;
  options.run_id = "run";
  options.flush_timeout = milliseconds(1);
  std::string error;
  const std::unique_ptr<Client> client = StartClient(
      options,
      [&] {
        return std::make_unique<Http2Transport>(
            kNamed, TlsFiles(), Http2Transport::Limits(), names.function());
      },
      steady_clock::now, &error);
  ASSERT_NE(client, nullptr) << error;
  client->EndStep({.step = 1});
  while (names.asked() == 0) std::this_thread::yield();
  client->Stop();
  EXPECT_EQ(client->GetStats().dropped, 1u);
  names.Release({}, "too late");
}

TEST(LookupTest, OneQuestionServesAllAttemptsAndALateAnswerTheNext) {
  NameService names;
  const RawPeer peer([](int socket) {
    RawPeer::Write(socket, wire::Settings());
    RawPeer::Drain(socket);
  });
  Http2Transport transport(kNamed, TlsFiles(), {.connect = milliseconds(200)},
                           names.function());
  for (int attempt = 0; attempt < 2; ++attempt) {
    const TransportEvent event = Open(transport);
    EXPECT_EQ(event.kind, TransportEvent::Kind::kClosed);
    EXPECT_EQ(event.text, "no answer from the name service in time");
  }
  names.Release(ResolveNumber({Address::Kind::kTcp, peer.address()}), "");
  EXPECT_EQ(Open(transport).kind, TransportEvent::Kind::kOpened);
  EXPECT_EQ(names.asked(), 1);
}

TEST(LookupTest, ANameThatIsNotKnownIsAskedForAgain) {
  NameService names;
  names.Release({}, "name unknown");
  Http2Transport transport(kNamed, TlsFiles(), {}, names.function());
  for (int attempt = 0; attempt < 2; ++attempt) {
    const TransportEvent event = Open(transport);
    EXPECT_EQ(event.kind, TransportEvent::Kind::kClosed);
    EXPECT_EQ(event.text, "name unknown");
  }
  EXPECT_EQ(names.asked(), 2);
}

TEST(LookupTest, NumbersAndPathsAskNobody) {
  EXPECT_EQ(ResolveNumber({Address::Kind::kTcp, "127.0.0.1:1"}).size(), 1u);
  EXPECT_EQ(ResolveNumber({Address::Kind::kTls, "[::1]:1"}).size(), 1u);
  EXPECT_EQ(ResolveNumber({Address::Kind::kUnix, "/tmp/socket"}).size(), 1u);
  EXPECT_TRUE(ResolveNumber({Address::Kind::kTcp, "localhost:1"}).empty());
}

}  // namespace
}  // namespace muster
