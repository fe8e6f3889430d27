#include "daemon/web/http_server.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/web/socket.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/web/hand_built_source.h"

namespace muster::web {
namespace {

using muster::testing::HandBuiltRun;
using muster::testing::SourceFrom;
using ::testing::HasSubstr;
using SteadyClock = std::chrono::steady_clock;

class HttpServerTest : public ::testing::Test {
 protected:
  void Start(HttpServerOptions options, Source source) {
    auto created = HttpServer::Create(std::move(options), std::move(source));
    ASSERT_TRUE(created.ok()) << created.status();
    server_ = *std::move(created);
  }
  void Start() { Start(HttpServerOptions(), SourceFrom({HandBuiltRun("r")})); }

  Socket Connect() const {
    Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server_->port());
    EXPECT_EQ(::connect(socket.descriptor(),
                        reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
    return socket;
  }

  // Everything that comes until the server closes.
  static std::string ReadAll(const Socket& socket) {
    std::string all;
    char buffer[4096];
    for (;;) {
      const ssize_t count =
          ::recv(socket.descriptor(), buffer, sizeof(buffer), 0);
      if (count <= 0) return all;
      all.append(buffer, count);
    }
  }

  static void Send(const Socket& socket, const std::string& text) {
    EXPECT_EQ(::send(socket.descriptor(), text.data(), text.size(), 0),
              static_cast<ssize_t>(text.size()));
  }

  std::string Exchange(const std::string& request) const {
    const Socket socket = Connect();
    Send(socket, request);
    return ReadAll(socket);
  }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  Start();
  httplib::Client client("127.0.0.1", server_->port());
  client.set_keep_alive(true);
  for (int i = 0; i < 20; ++i) {
    const auto result = client.Get("/api/v1/runs/r/steps?limit=1");
    ASSERT_TRUE(result) << httplib::to_string(result.error());
    EXPECT_EQ(result->status, 200);
    EXPECT_THAT(result->body, HasSubstr("\"step\":\"412\""));
    EXPECT_EQ(result->get_header_value("Content-Type"), "application/json");
    EXPECT_EQ(result->get_header_value("Keep-Alive"), "timeout=1, max=1000");
  }
  EXPECT_EQ(client.Get("/nothing")->status, 404);
  EXPECT_EQ(client.Get("/api/v1/runs/r/steps?limit=x")->status, 400);
  EXPECT_EQ(client.Get("/api/v1/runs/%72/ranks")->status, 200);
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  Start();
  const std::string answer =
      Exchange("HEAD /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(HttpServerTest, LongAnswersArePackedForThoseWhoCanReadThem) {
  Source source = SourceFrom({});
  source.metrics = [](const RunFilter&) { return std::string(5000, 'm'); };
  Start(HttpServerOptions(), source);
  httplib::Client client("127.0.0.1", server_->port());
  client.set_decompress(false);
  const auto get = [&](const char* path, const char* encoding) {
    return client.Get(path, {{"Accept-Encoding", encoding}});
  };
  const auto packed = get("/metrics", "gzip, br");
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->get_header_value("Content-Encoding"), "gzip");
  EXPECT_EQ(packed->get_header_value("Vary"), "Accept-Encoding");
  EXPECT_LT(packed->body.size(), 200u);
  const auto plain = get("/metrics", "br");
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->has_header("Content-Encoding"));
  EXPECT_EQ(plain->body, std::string(5000, 'm'));
  EXPECT_FALSE(get("/healthz", "gzip")->has_header("Content-Encoding"));
  client.set_decompress(true);
  EXPECT_EQ(get("/metrics", "gzip")->body, plain->body);
}

TEST_F(HttpServerTest, OtherMethodsAreRefusedAndTheConnectionEnds) {
  Start();
  for (const std::string method :
       {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"}) {
    // The body must not be taken for a second request.
    const std::string body = "GET /healthz HTTP/1.1\r\n\r\n";
    const std::string answer =
        Exchange(method + " /healthz HTTP/1.1\r\nContent-Length: " +
                 std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_THAT(answer, HasSubstr("HTTP/1.1 405")) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n")) << method;
    EXPECT_EQ(answer.find("HTTP/1.1 200"), std::string::npos) << answer;
  }
}

TEST_F(HttpServerTest, GarbageIsAnsweredOrClosedAndOthersGoOn) {
  Start();
  EXPECT_THAT(Exchange("nonsense\r\n\r\n"), HasSubstr("HTTP/1.1 400"));
  EXPECT_THAT(Exchange("GET /" + std::string(9000, 'a') +
                       " HTTP/1.1\r\nConnection: close\r\n\r\n"),
              HasSubstr("HTTP/1.1 414"));
  Exchange(std::string("\0\0\r\n\r\n", 6));
  httplib::Client client("127.0.0.1", server_->port());
  EXPECT_EQ(client.Get("/healthz")->status, 200);
}

TEST_F(HttpServerTest, ExceptionsBecomeAnswers) {
  Source source = SourceFrom({});
  source.metrics = [](const RunFilter&) -> std::string {
    throw std::runtime_error("no");
  };
  Start(HttpServerOptions(), source);
  httplib::Client client("127.0.0.1", server_->port());
  EXPECT_EQ(client.Get("/metrics")->status, 500);
  EXPECT_EQ(client.Get("/healthz")->status, 200);
}

TEST_F(HttpServerTest, SlowAndIdleConnectionsDelayNobody) {
  HttpServerOptions options;
  // They stay for the whole test.
  options.read_timeout = absl::Seconds(60);
  options.request_timeout = absl::Seconds(60);
  Start(options, SourceFrom({HandBuiltRun("r")}));
  std::vector<Socket> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(Connect());
    if (i % 2 == 0) Send(slow.back(), "GET /metrics HTTP/1.1\r\nHost:");
  }
  // The median, as this machine may be busy with other things.
  std::vector<double> seconds;
  for (int i = 0; i < 21; ++i) {
    const auto start = SteadyClock::now();
    httplib::Client client("127.0.0.1", server_->port());
    ASSERT_EQ(client.Get("/healthz")->status, 200);
    seconds.push_back(
        std::chrono::duration<double>(SteadyClock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + 10, seconds.end());
  EXPECT_LT(seconds[10], 0.1);
}

TEST_F(HttpServerTest, AHalfSentRequestEndsWithTheReadTimeout) {
  HttpServerOptions options;
  options.read_timeout = absl::Milliseconds(50);
  Start(options, SourceFrom({}));
  const auto start = SteadyClock::now();
  EXPECT_EQ(Exchange("GET /metrics HTTP/1.1\r\nHost:").find("200"),
            std::string::npos);
  EXPECT_LT(SteadyClock::now() - start, std::chrono::seconds(10));
}

TEST_F(HttpServerTest, ARequestHasToBeCompleteInTime) {
  HttpServerOptions options;
  options.request_timeout = absl::Milliseconds(200);
  Start(options, SourceFrom({}));
  const Socket socket = Connect();
  // A byte now and then never runs into the read timeout of a second.
  std::string request = "GET / HTTP/1.1\r\nX: ";
  const auto start = SteadyClock::now();
  bool open = true;
  while (open && SteadyClock::now() - start < std::chrono::seconds(20)) {
    open = ::send(socket.descriptor(), request.data(), request.size(),
                  MSG_NOSIGNAL) > 0;
    request = "x";
    char byte;
    timeval wait = {0, 20000};
    ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &wait,
                 sizeof(wait));
    if (::recv(socket.descriptor(), &byte, 1, 0) == 0) open = false;
  }
  EXPECT_FALSE(open);
}

TEST_F(HttpServerTest, ABusyPortIsAnErrorThatNamesTheAddress) {
  Start();
  HttpServerOptions options;
  options.port = server_->port();
  const auto second = HttpServer::Create(options, SourceFrom({}));
  EXPECT_EQ(std::string(second.status().message()),
            "cannot listen on 127.0.0.1:" + std::to_string(options.port) +
                ": Address already in use");
  // Free again once the first is gone, lingering connections or not.
  httplib::Client("127.0.0.1", options.port).Get("/healthz");
  server_.reset();
  EXPECT_TRUE(HttpServer::Create(options, SourceFrom({})).ok());
}

TEST_F(HttpServerTest, AnUnknownHostIsAnErrorThatNamesIt) {
  HttpServerOptions options;
  options.host = "no.such.host.invalid";
  const auto server = HttpServer::Create(options, SourceFrom({}));
  EXPECT_THAT(std::string(server.status().message()),
              HasSubstr("cannot listen on no.such.host.invalid:0: "));
}

TEST_F(HttpServerTest, DescriptorsBeyondSelectAreServed) {
  rlimit limit = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < 2048) GTEST_SKIP() << "too few descriptors allowed";
  const rlimit before = limit;
  limit.rlim_cur = 2048;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  Start();
  std::vector<Socket> taken;
  for (int i = 0; i < 1100; ++i) taken.emplace_back(::dup(0));
  ASSERT_GT(taken.back().descriptor(), 1024);
  // The client of httplib waits with select() as well.
  EXPECT_THAT(Exchange("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"),
              HasSubstr("HTTP/1.1 200"));
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_F(HttpServerTest, StopEndsSlowConnectionsToo) {
  HttpServerOptions options;
  options.read_timeout = absl::Seconds(60);
  options.request_timeout = absl::Seconds(60);
  options.keep_alive = absl::Seconds(60);
  Start(options, SourceFrom({}));
  const Socket slow = Connect();
  Send(slow, "GET / HTTP/1.1\r\n");
  httplib::Client client("127.0.0.1", server_->port());
  client.set_keep_alive(true);
  ASSERT_EQ(client.Get("/healthz")->status, 200);
  const auto start = SteadyClock::now();
  server_->Stop();
  server_->Stop();
  EXPECT_LT(SteadyClock::now() - start, std::chrono::seconds(20));
}

}  // namespace
}  // namespace muster::web
