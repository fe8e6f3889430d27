// The protocol without sockets: what is read in pieces, and what is written
// when.
#include "client/src/http2_session.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/src/grpc_framing.h"

namespace muster {
namespace {

using Kind = TransportEvent::Kind;

// Big endian.
std::string Number(size_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) {
    text.push_back(static_cast<char>(value >> (8 * i)));
  }
  return text;
}

std::string Frame(int type, int flags, int stream, const std::string& payload) {
  return Number(payload.size(), 3) + Number(type, 1) + Number(flags, 1) +
         Number(stream, 4) + payload;
}

std::string Field(const std::string& name, const std::string& value) {
  return Number(0, 1) + Number(name.size(), 1) + name +
         Number(value.size(), 1) + value;
}

// 4: the initial window of a stream.
std::string Settings(size_t window) {
  return Frame(4, 0, 0, Number(4, 2) + Number(window, 4));
}

const std::string kGoodHeaders =
    Frame(1, 4, 1,
          Field(":status", "200") + Field("content-type", "application/grpc"));
const std::string kTrailers = Frame(1, 5, 1, Field("grpc-status", "0"));

class Http2SessionTest : public testing::Test {
 protected:
  void Receive(const std::string& bytes) {
    session_.Receive(reinterpret_cast<const uint8_t*>(bytes.data()),
                     bytes.size());
  }

  // What the session writes now.
  std::string Flush() {
    std::string all;
    while (true) {
      std::string output;
      session_.TakeOutput(&output);
      if (output.empty()) break;
      all += output;
    }
    session_.Flushed();
    return all;
  }

  std::vector<Kind> Events() {
    std::vector<Kind> kinds;
    while (auto event = session_.NextEvent()) {
      kinds.push_back(event->kind);
      texts_.push_back(event->text);
    }
    return kinds;
  }

  Http2Session session_{"http", "daemon:7600"};
  std::vector<std::string> texts_;
};

TEST_F(Http2SessionTest, BeginsAsHttp2AndGrpcWantIt) {
  const std::string request = Flush();
  EXPECT_TRUE(request.starts_with("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  EXPECT_TRUE(Events().empty());
}

TEST_F(Http2SessionTest, ReadsAnAnswerCutAnywhere) {
  Flush();
  const std::string large(5000, 'x');
  const std::string answer =
      Settings(65535) + kGoodHeaders +
      Frame(0, 0, 1, Number(0, 1) + Number(5000, 4) + large) +
      Frame(0, 0, 1, Number(0, 1)) + Frame(0, 0, 1, Number(3, 4) + "tw") +
      Frame(0, 0, 1, "o" + Number(0, 1) + Number(0, 4)) + kTrailers;
  for (const char byte : answer) {
    Receive(std::string(1, byte));
    Flush();
  }
  EXPECT_EQ(Events(),
            (std::vector<Kind>{Kind::kOpened, Kind::kMessage, Kind::kMessage,
                               Kind::kMessage, Kind::kClosed}));
  EXPECT_EQ(texts_,
            (std::vector<std::string>{"", large, "two", "", "stream ended"}));
}

TEST_F(Http2SessionTest, AMessageIsSentOnlyWhenItFitsTheWindow) {
  Flush();
  Receive(Settings(10));
  Flush();
  EXPECT_EQ(Events(), std::vector<Kind>{Kind::kOpened});
  session_.Send("0123456789");
  // Five bytes of prefix and five of the message.
  const std::string first = Flush();
  EXPECT_EQ(first, Frame(0, 0, 1, Number(0, 1) + Number(10, 4) + "01234"));
  EXPECT_TRUE(Events().empty());
  Receive(Frame(8, 0, 1, Number(4, 4)));
  EXPECT_EQ(Flush(), Frame(0, 0, 1, "5678"));
  EXPECT_TRUE(Events().empty());
  Receive(Frame(8, 0, 1, Number(100, 4)));
  EXPECT_EQ(Flush(), Frame(0, 0, 1, "9"));
  EXPECT_EQ(Events(), std::vector<Kind>{Kind::kSent});
  session_.FinishSending();
  EXPECT_EQ(Flush(), Frame(0, 1, 1, ""));
  Receive(kGoodHeaders + kTrailers);
  EXPECT_EQ(Events(), std::vector<Kind>{Kind::kClosed});
}

TEST_F(Http2SessionTest, TheLargestMessageGoesThrough) {
  Flush();
  Receive(Settings(0x7fffffff) + Frame(8, 0, 0, Number(0x7fff0000, 4)));
  Flush();
  Events();
  session_.Send(std::string(kMaxMessageBytes, 'x'));
  EXPECT_GT(Flush().size(), kMaxMessageBytes);
  EXPECT_EQ(Events(), std::vector<Kind>{Kind::kSent});
}

TEST_F(Http2SessionTest, PingsAndIsPinged) {
  Flush();
  Receive(Settings(65535));
  Flush();
  session_.Ping();
  EXPECT_TRUE(session_.ping_outstanding());
  EXPECT_EQ(Flush(), Frame(6, 0, 0, std::string(8, '\0')));
  Receive(Frame(6, 0, 0, "12345678"));
  EXPECT_EQ(Flush(), Frame(6, 1, 0, "12345678"));
  EXPECT_TRUE(session_.ping_outstanding());
  Receive(Frame(6, 1, 0, std::string(8, '\0')));
  EXPECT_FALSE(session_.ping_outstanding());
}

TEST_F(Http2SessionTest, AFloodOfPingsEndsIt) {
  Flush();
  std::string flood = Settings(65535);
  for (int i = 0; i < 10'000; ++i) flood += Frame(6, 0, 0, "12345678");
  Receive(flood);
  EXPECT_EQ(Events(), (std::vector<Kind>{Kind::kOpened, Kind::kClosed}));
}

TEST_F(Http2SessionTest, HeadersWithoutEndEndIt) {
  Flush();
  Receive(Settings(65535) + Frame(1, 0, 1, Field(":status", "200")));
  for (int i = 0; i < 1000; ++i) {
    Receive(Frame(9, 0, 1, Field("x", std::string(100, 'y'))));
  }
  EXPECT_EQ(Events(), (std::vector<Kind>{Kind::kOpened, Kind::kClosed}));
}

TEST_F(Http2SessionTest, ADaemonThatGoesAwayMayStillEndACallInGoodOrder) {
  const std::string goaway = Frame(7, 0, 0, Number(1, 4) + Number(0, 4));
  Flush();
  Receive(Settings(65535) + kGoodHeaders);
  session_.FinishSending();
  Flush();
  Receive(goaway + kTrailers);
  EXPECT_EQ(Events(), (std::vector<Kind>{Kind::kOpened, Kind::kClosed}));
  EXPECT_EQ(texts_.back(), "stream ended");
}

TEST_F(Http2SessionTest, NothingFollowsTheEnd) {
  Flush();
  session_.Fail("given\nup");
  Receive(Settings(65535) + kGoodHeaders + kTrailers);
  session_.Send("x");
  EXPECT_EQ(Flush(), "");
  EXPECT_EQ(Events(), std::vector<Kind>{Kind::kClosed});
  EXPECT_EQ(texts_.back(), "given?up");
}

TEST(GrpcFramingTest, DecodesPercentAndLeavesTheRest) {
  EXPECT_EQ(DecodePercent("a%20b%zz%4"), "a b%zz%4");
  EXPECT_EQ(DecodePercent("%41%"), "A%");
}

TEST(GrpcFramingTest, AnnouncedBytesCostNothing) {
  MessageReader reader;
  std::vector<std::string> messages;
  std::string error;
  const std::string most = Number(0, 1) + Number(kMaxMessageBytes, 4);
  EXPECT_TRUE(reader.Read(reinterpret_cast<const uint8_t*>(most.data()),
                          most.size(), &messages, &error));
  EXPECT_FALSE(reader.between_messages());
  const std::string more = Number(0, 1) + Number(kMaxMessageBytes + 1, 4);
  MessageReader other;
  EXPECT_FALSE(other.Read(reinterpret_cast<const uint8_t*>(more.data()),
                          more.size(), &messages, &error));
  EXPECT_TRUE(messages.empty());
}

}  // namespace
}  // namespace muster
