// Each transport against peers that answer wrongly, halfway or not at all.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "client/src/client_impl.h"
#include "client/src/http2_transport.h"
#include "muster/client.h"
#include "muster/v1/telemetry.pb.h"
#include "tests/client/raw_peer.h"
#include "tests/client/transports_under_test.h"

namespace muster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using Kind = TransportEvent::Kind;

constexpr seconds kPatience{20};

Address AddressOf(const RawPeer& peer) {
  return {Address::Kind::kTcp, peer.address()};
}

// What a stream came to.
struct Outcome {
  bool opened = false;
  std::vector<std::string> messages;
  bool closed = false;
  std::string why;
};

// Opens a stream, sends one message once it is open, and waits for its end.
Outcome Converse(Transport& transport) {
  Outcome outcome;
  const auto deadline = steady_clock::now() + kPatience;
  transport.Open();
  while (!outcome.closed) {
    TransportEvent event = transport.Wait(deadline);
    switch (event.kind) {
      case Kind::kOpened:
        outcome.opened = true;
        transport.Send("hello");
        break;
      case Kind::kMessage:
        outcome.messages.push_back(event.text);
        break;
      case Kind::kClosed:
        outcome.closed = true;
        outcome.why = event.text;
        break;
      case Kind::kTimeout:
        return outcome;
      default:
        break;
    }
  }
  return outcome;
}

struct Answer {
  std::string name;
  std::string bytes;  // after the request
  std::string why;    // part of the reason that Http2Transport gives
  bool close = false;
  size_t messages = 0;
  bool http2 = true;  // SETTINGS come first
  // grpc++ 1.51 leaves the stream open until the peer hangs up, or tries again
  // by itself: the client's deadlines end that.
  bool grpc_waits = false;
};

const Answer kAnswers[] = {
    {"StatusInTrailers",
     wire::GoodHeaders() + wire::Message("one") +
         wire::Trailers("8", "run%20%22x%22%0Ais full"),
     "gRPC status 8: run \"x\"?is full", false, 1},
    {"StatusInHeaders",
     wire::Headers({{":status", "200"},
                    {"content-type", "application/grpc"},
                    {"grpc-status", "14"},
                    {"grpc-message", "try later"}},
                   true),
     "gRPC status 14: try later"},
    {"EndWithStatusZero",
     wire::GoodHeaders() + wire::Message("one") + wire::Message("") +
         wire::Trailers("0"),
     "stream ended", false, 2},
    {"EndWithoutStatus",
     wire::GoodHeaders() + wire::Frame(wire::kData, wire::kEndStream, 1, ""),
     "without a status", false, 0, true, true},
    {"EndInsideAMessage",
     wire::GoodHeaders() +
         wire::Frame(wire::kData, wire::kNone, 1,
                     wire::Number(0, 1) + wire::Number(9, 4) + "half") +
         wire::Trailers("0"),
     "inside a message"},
    {"ProxyError",
     wire::Headers({{":status", "503"}, {"content-type", "text/html"}}),
     "HTTP status 503"},
    {"NotGrpc",
     wire::Headers({{":status", "200"}, {"content-type", "text/html"}}),
     "no gRPC but \"text/html\"", false, 0, true, true},
    {"OversizedMessage",
     wire::GoodHeaders() +
         wire::Frame(wire::kData, wire::kNone, 1,
                     wire::Number(0, 1) + wire::Number(0x7fffffff, 4) + "x"),
     "announced a message of 2147483647 bytes", false, 0, true, true},
    {"CompressedMessage",
     wire::GoodHeaders() +
         wire::Frame(wire::kData, wire::kNone, 1,
                     wire::Number(1, 1) + wire::Number(1, 4) + "x"),
     "compressed", false, 0, true, true},
    {"TooManyPings", wire::Goaway(1, 11, "too_many_pings"),
     "ENHANCE_YOUR_CALM: too_many_pings", false, 0, true, true},
    {"GoneAwayUnseen", wire::Goaway(0, 0, "bye"), "NO_ERROR: bye"},
    {"Reset", wire::GoodHeaders() + wire::Reset(8), "CANCEL"},
    {"ResetAfterStatus",
     wire::GoodHeaders() + wire::Trailers("5") + wire::Reset(0),
     "gRPC status 5"},
    {"HalfAnswer", wire::GoodHeaders() + wire::Message("whole").substr(0, 11),
     "closed the connection", true},
    {"ClosedAtOnce", "", "closed the connection", true, 0, false, true},
    {"Http1", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
     "malformed answer", false, 0, false, true},
    {"DataBeforeHeaders", wire::Message("one"), "malformed answer", false, 0,
     true, true},
    {"OversizedFrame",
     wire::Frame(wire::kPing, wire::kNone, 0, std::string(9, 'x')),
     "malformed answer"},
    {"Pushed",
     wire::Frame(wire::kSettings, wire::kAck, 0, "") +
         wire::Frame(wire::kPushPromise, wire::kEndHeaders, 1,
                     wire::Number(2, 4)),
     "malformed answer", false, 0, true, true},
    {"UpperCaseHeader", wire::Headers({{":status", "200"}, {"BAD", "x"}}),
     "Invalid HTTP header", false, 0, true, true},
};

class HostilePeerTest
    : public testing::TestWithParam<std::tuple<TransportUnderTest, Answer>> {};

INSTANTIATE_TEST_SUITE_P(
    Each, HostilePeerTest,
    testing::Combine(testing::ValuesIn(TransportsUnderTest()),
                     testing::ValuesIn(kAnswers)),
    [](const auto& info) {
      return std::get<0>(info.param).name + std::get<1>(info.param).name;
    });

TEST_P(HostilePeerTest, EndsTheStreamWithAReason) {
  const auto& [transport, answer] = GetParam();
  const RawPeer peer([&answer = answer](int socket) {
    // grpc++ sends no request before these.
    if (answer.http2) RawPeer::Write(socket, wire::Settings());
    if (!RawPeer::ReadRequest(socket)) return;
    RawPeer::Write(socket, answer.bytes);
    if (answer.close) shutdown(socket, SHUT_WR);
    RawPeer::Drain(socket);
  });
  if (transport.name == "Grpc" && answer.grpc_waits) GTEST_SKIP();
  const auto made = transport.make(AddressOf(peer), TlsFiles());
  const Outcome outcome = Converse(*made);
  ASSERT_TRUE(outcome.closed);
  EXPECT_EQ(outcome.why.find('\n'), std::string::npos) << outcome.why;
  if (transport.name != "Http2") return;
  EXPECT_NE(outcome.why.find(answer.why), std::string::npos) << outcome.why;
  EXPECT_EQ(outcome.messages.size(), answer.messages);
}

Http2Transport MakeTransport(const RawPeer& peer,
                             Http2Transport::Limits limits = {}) {
  return Http2Transport(AddressOf(peer), TlsFiles(), limits);
}

TEST(Http2TransportTest, AMutePeerIsGivenUp) {
  const RawPeer peer([](int socket) { RawPeer::Drain(socket); });
  Http2Transport transport = MakeTransport(peer, {.connect = milliseconds(50)});
  const Outcome outcome = Converse(transport);
  EXPECT_FALSE(outcome.opened);
  EXPECT_EQ(outcome.why, "no connection in time");
}

TEST(Http2TransportTest, APeerThatAnswersNoPingIsGivenUp) {
  const RawPeer peer([](int socket) {
    if (!RawPeer::ReadRequest(socket)) return;
    RawPeer::Write(socket, wire::Settings());
    RawPeer::Drain(socket);
  });
  Http2Transport transport = MakeTransport(
      peer,
      {.keepalive = milliseconds(20), .keepalive_answer = milliseconds(50)});
  const Outcome outcome = Converse(transport);
  EXPECT_TRUE(outcome.opened);
  EXPECT_EQ(outcome.why, "the daemon answers no ping");
}

TEST(Http2TransportTest, APeerThatReadsNothingIsNotSentToForEver) {
  const RawPeer peer([](int socket) {
    // A window for far more than the socket takes.
    RawPeer::Write(socket, wire::Settings(wire::Number(4, 2) +
                                          wire::Number(0x7fffffff, 4)) +
                               wire::Frame(wire::kWindowUpdate, wire::kNone, 0,
                                           wire::Number(0x7fff0000, 4)));
    pollfd closed = {socket, POLLRDHUP, 0};
    poll(&closed, 1, -1);
  });
  Http2Transport transport = MakeTransport(
      peer,
      {.keepalive = milliseconds(50), .keepalive_answer = milliseconds(50)});
  const auto deadline = steady_clock::now() + kPatience;
  transport.Open();
  size_t sent = 0;
  TransportEvent event;
  while ((event = transport.Wait(deadline)).kind != Kind::kClosed) {
    ASSERT_NE(event.kind, Kind::kTimeout);
    if (event.kind == Kind::kSent) ++sent;
    transport.Send(std::string(kMaxMessageBytes, 'x'));
  }
  EXPECT_EQ(event.text, "the daemon answers no ping");
  // Whatever fits into the socket's buffers is sent, and no more.
  EXPECT_LT(sent, 64u);
}

TEST(Http2TransportTest, WakesAcrossThreadsAndBeforeTheWait) {
  const RawPeer peer([](int) {});
  Http2Transport transport = MakeTransport(peer);
  transport.Wake();
  transport.Wake();
  EXPECT_EQ(transport.Wait(steady_clock::now() + kPatience).kind, Kind::kWoken);
  EXPECT_EQ(transport.Wait(steady_clock::now()).kind, Kind::kTimeout);
  for (int round = 0; round < 1000; ++round) {
    std::thread waker([&transport] { transport.Wake(); });
    EXPECT_EQ(transport.Wait(steady_clock::now() + kPatience).kind,
              Kind::kWoken);
    waker.join();
  }
}

TEST(Http2TransportTest, CanBeClosedAndOpenedAtAnyPoint) {
  const RawPeer peer([](int socket) {
    if (!RawPeer::ReadRequest(socket)) return;
    RawPeer::Write(socket, wire::Settings() + wire::GoodHeaders());
    RawPeer::Drain(socket);
  });
  Http2Transport transport = MakeTransport(peer);
  transport.Close();
  transport.Open();
  transport.Close();
  EXPECT_EQ(transport.Wait(steady_clock::now()).kind, Kind::kTimeout);
  transport.Open();
  EXPECT_EQ(transport.Wait(steady_clock::now() + kPatience).kind,
            Kind::kOpened);
  transport.Send("never told to be sent");
  transport.Close();
  EXPECT_EQ(transport.Wait(steady_clock::now()).kind, Kind::kTimeout);
  transport.Open();
  EXPECT_EQ(transport.Wait(steady_clock::now() + kPatience).kind,
            Kind::kOpened);
}

// The whole client over the real transport, without gRPC, so that
// ThreadSanitizer can watch it. The daemon hangs up twice after its Welcome.
TEST(Http2TransportTest, CarriesAClientThroughHangUps) {
  const auto serialize = [](const v1::ServerMessage& message) {
    return wire::Message(message.SerializeAsString());
  };
  int connections = 0;
  const RawPeer peer([&](int socket) {
    if (!RawPeer::ReadRequest(socket)) return;
    v1::ServerMessage welcome;
    welcome.mutable_welcome()->set_source(1);
    RawPeer::Write(socket,
                   wire::Settings() + wire::GoodHeaders() + serialize(welcome));
    if (++connections < 3) return;
    v1::ServerMessage ack;
    ack.mutable_ack()->set_source(1);
    ack.mutable_ack()->set_sequence(200);
    RawPeer::Write(socket, serialize(ack));
    RawPeer::Drain(socket);
  });
  Options options;
  options.address = peer.address();
  options.run_id = "run-1";
  options.sketch.width = 64;
  options.flush_timeout = milliseconds(200);
  options.log = [](const std::string&) {};
  std::string error;
  const std::unique_ptr<Client> client = Client::Start(options, &error);
  ASSERT_NE(client, nullptr) << error;
  for (uint64_t step = 1; step <= 200; ++step) client->EndStep({.step = step});
  while (client->GetStats().acknowledged < 200) std::this_thread::yield();
  client->Stop();
  const Stats stats = client->GetStats();
  EXPECT_EQ(stats.acknowledged, 200u);
  EXPECT_EQ(stats.reconnects, 2u);
}

TEST(SocketTest, EndsTheConnectionThoughACopyOfItLives) {
  // As in a data loader's worker.
  const RawPeer peer(RawPeer::Drain);
  Socket connection;
  std::string error;
  const std::vector<SocketAddress> found = ResolveNumber(AddressOf(peer));
  ASSERT_EQ(found.size(), 1u);
  ASSERT_TRUE(connection.Connect(found[0], &error)) << error;
  const int copy = dup(connection.descriptor());
  connection.Close();
  char byte = 0;
  EXPECT_EQ(recv(copy, &byte, 1, 0), 0);
  close(copy);
}

}  // namespace
}  // namespace muster
