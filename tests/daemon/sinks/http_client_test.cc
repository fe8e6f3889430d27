#include "daemon/sinks/http_client.h"

#include <cstdlib>
#include <fstream>
#include <thread>

#include "gtest/gtest.h"
#include "tests/testing/authority.h"
#include "tests/testing/http_receiver.h"
#include "tests/testing/temporary_folder.h"

namespace muster::sinks {
namespace {

using muster::testing::HttpReceiver;
using muster::testing::PostAnswer;
using muster::testing::ReceivedPost;

// For what must not be waited for in vain.
constexpr absl::Duration kLong = absl::Seconds(60);

void Write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

HttpReceiver::Answerer Always(PostAnswer answer) {
  return [answer](size_t, const ReceivedPost&) { return answer; };
}

TEST(SecretTest, IsReadWithoutItsLineBreak) {
  const TemporaryFolder folder;
  const std::string path = folder.File("token");
  Write(path, "s3cr3t\r\n");
  EXPECT_EQ(ReadSecret({.file = path}).value(), "s3cr3t");
  Write(path, "rotated");
  EXPECT_EQ(ReadSecret({.file = path}).value(), "rotated");
  setenv("MUSTER_TEST_SECRET", "from outside", 1);
  EXPECT_EQ(ReadSecret({.variable = "MUSTER_TEST_SECRET"}).value(),
            "from outside");
  unsetenv("MUSTER_TEST_SECRET");
}

TEST(SecretTest, ErrorsNameThePlaceAndNotTheSecret) {
  const TemporaryFolder folder;
  const std::string path = folder.File("token");
  const auto error = [&] {
    return std::string(ReadSecret({.file = path}).status().message());
  };
  EXPECT_NE(error().find(path), std::string::npos);
  Write(path, "");
  EXPECT_NE(error().find("is empty"), std::string::npos);
  Write(path, "geheim\nInjected: header");
  EXPECT_NE(error().find("control character"), std::string::npos);
  EXPECT_EQ(error().find("geheim"), std::string::npos);
  Write(path, std::string(kMaxSecretBytes + 1, 'x'));
  EXPECT_NE(error().find("too long"), std::string::npos);
  EXPECT_NE(
      std::string(
          ReadSecret({.variable = "MUSTER_TEST_NOT_SET"}).status().message())
          .find("MUSTER_TEST_NOT_SET"),
      std::string::npos);
}

TEST(HttpClientTest, PostsBodyAndHeadersAndReadsTheAnswer) {
  HttpReceiver receiver(Always({.status = 400, .body = "no:\tbad\nmore"}));
  HttpClient client({.url = receiver.url() + "/api/v2/alerts?x=1"});
  const std::string body("[1,\0002]", 6);
  const auto response = client.Post(
      body, {{"Content-Type", "application/json"}, {"X-Id", "7"}}, kLong);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 400);
  EXPECT_EQ(response->first_line, "no:?bad");
  const auto posts = receiver.posts();
  ASSERT_EQ(posts.size(), 1u);
  EXPECT_EQ(posts[0].path, "/api/v2/alerts");
  EXPECT_EQ(posts[0].body, body);
  EXPECT_EQ(posts[0].headers.at("content-type"), "application/json");
  EXPECT_EQ(posts[0].headers.at("x-id"), "7");
  EXPECT_EQ(posts[0].headers.count("authorization"), 0u);
}

TEST(HttpClientTest, SendsAnEmptyBodyAndALargeOne) {
  HttpReceiver receiver;
  HttpClient client({.url = receiver.url()});
  ASSERT_TRUE(client.Post("", {}, kLong).ok());
  const std::string large(3 << 20, 'x');
  ASSERT_TRUE(client.Post(large, {{"Content-Type", "text/plain"}}, kLong).ok());
  const auto posts = receiver.posts();
  ASSERT_EQ(posts.size(), 2u);
  EXPECT_EQ(posts[0].body, "");
  EXPECT_EQ(posts[1].body, large);
  EXPECT_EQ(posts[1].headers.count("expect"), 0u);
}

TEST(HttpClientTest, BreaksOffAnEndlessAnswerButKeepsItsStatus) {
  HttpReceiver receiver(
      Always({.status = 503, .body = std::string(8 << 20, 'x')}));
  HttpClient client({.url = receiver.url()});
  const auto response = client.Post("{}", {}, kLong);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 503);
  EXPECT_EQ(response->first_line, std::string(200, 'x'));
}

TEST(HttpClientTest, ReadsTheBearerTokenAtEachPost) {
  const TemporaryFolder folder;
  HttpReceiver receiver;
  HttpClient client(
      {.url = receiver.url(), .bearer_token = {.file = folder.File("token")}});
  EXPECT_EQ(client.Post("{}", {}, kLong).status().code(),
            absl::StatusCode::kFailedPrecondition);
  for (const char* token : {"first", "second"}) {
    Write(folder.File("token"), token);
    ASSERT_TRUE(client.Post("{}", {}, kLong).ok());
    EXPECT_EQ(receiver.posts().back().headers.at("authorization"),
              std::string("Bearer ") + token);
  }
  EXPECT_EQ(receiver.posts().size(), 2u);
}

TEST(HttpClientTest, SendsUserAndPassword) {
  const TemporaryFolder folder;
  Write(folder.File("password"), "open sesame\n");
  HttpReceiver receiver;
  HttpClient client({.url = receiver.url(),
                     .username = "aladdin",
                     .password = {.file = folder.File("password")}});
  ASSERT_TRUE(client.Post("{}", {}, kLong).ok());
  // printf 'aladdin:open sesame' | base64
  EXPECT_EQ(receiver.posts().back().headers.at("authorization"),
            "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

TEST(HttpClientTest, AnswerThatQuotesTheSecretIsKeptWithoutIt) {
  const TemporaryFolder folder;
  Write(folder.File("token"), "geheim");
  HttpReceiver receiver(
      Always({.status = 401, .body = "token geheim is not known"}));
  HttpClient client(
      {.url = receiver.url(), .bearer_token = {.file = folder.File("token")}});
  EXPECT_EQ(client.Post("{}", {}, kLong)->first_line,
            "token [secret] is not known");
}

TEST(HttpClientTest, DoesNotFollowRedirections) {
  HttpReceiver receiver(Always({.status = 302}));
  HttpClient client({.url = receiver.url()});
  EXPECT_EQ(client.Post("{}", {}, kLong)->status, 302);
  EXPECT_EQ(receiver.posts().size(), 1u);
}

TEST(HttpClientTest, ReadsHowLongItShallWaitUpToABound) {
  struct Case {
    int status;
    const char* header;
    absl::Duration expected;
  };
  const std::vector<Case> cases = {
      {429, "7", absl::Seconds(7)},
      {503, "120", absl::Minutes(2)},
      {503, "86400", absl::Minutes(5)},
      {503, "Fri, 31 Dec 2199 23:59:59 GMT", absl::Minutes(5)},
      {503, "Fri, 31 Dec 1999 23:59:59 GMT", absl::ZeroDuration()},
      {503, "soon", absl::ZeroDuration()},
      {503, "", absl::ZeroDuration()},
      {200, "7", absl::ZeroDuration()},
      {400, "7", absl::ZeroDuration()}};
  HttpReceiver receiver([&](size_t n, const ReceivedPost&) {
    return PostAnswer{.status = cases[n].status,
                      .retry_after = cases[n].header};
  });
  HttpClient client({.url = receiver.url()});
  for (const Case& each : cases) {
    const auto response = client.Post("{}", {}, kLong);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->retry_after, each.expected)
        << each.status << " " << each.header;
  }
}

TEST(HttpClientTest, ReadsTheAddressAtEachPostAndShowsItNowhere) {
  const TemporaryFolder folder;
  HttpReceiver receiver([](size_t, const ReceivedPost& post) {
    return PostAnswer{.status = 404, .body = "no " + post.path + " here"};
  });
  HttpClient client({.url_place = {.file = folder.File("url")}});
  EXPECT_EQ(client.Post("{}", {}, kLong).status().code(),
            absl::StatusCode::kFailedPrecondition);
  for (const char* path : {"/services/first", "/services/second"}) {
    Write(folder.File("url"), receiver.url() + path + "\n");
    const auto response = client.Post("{}", {}, kLong);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->first_line, "no [path] here");
    EXPECT_EQ(receiver.posts().back().path, path);
  }
  Write(folder.File("url"), "ftp://geheim");
  const absl::Status status = client.Post("{}", {}, kLong).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find(folder.File("url")), absl::string_view::npos);
  EXPECT_EQ(status.message().find("geheim"), absl::string_view::npos);
}

TEST(HttpClientTest, AddsItsPathToTheAddress) {
  const TemporaryFolder folder;
  HttpReceiver receiver;
  Write(folder.File("url"), receiver.url() + "/prefix/\n");
  HttpClient client(
      {.url_place = {.file = folder.File("url")}, .path = "/api/v2/alerts"});
  ASSERT_TRUE(client.Post("[]", {}, kLong).ok());
  EXPECT_EQ(receiver.posts().back().path, "/prefix/api/v2/alerts");
  Write(folder.File("url"), receiver.url() + "/?x=1");
  EXPECT_EQ(client.Post("[]", {}, kLong).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(HttpClientTest, NobodyThereIsUnavailable) {
  int port = 0;
  {
    HttpReceiver receiver;
    port = receiver.port();
  }
  HttpClient client(
      {.url = "http://127.0.0.1:" + std::to_string(port) + "/hidden"});
  const absl::Status status = client.Post("{}", {}, kLong).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(status.message().find("hidden"), absl::string_view::npos);
}

TEST(HttpClientTest, TimeoutIsForAllTogether) {
  HttpReceiver receiver(Always({.hangs = true}));
  HttpClient client({.url = receiver.url()});
  const absl::Status status =
      client.Post("{}", {}, absl::Milliseconds(50)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
}

TEST(HttpClientTest, CancelEndsAPostThatWaitsAndAllAfterIt) {
  HttpReceiver receiver(Always({.hangs = true}));
  HttpClient client({.url = receiver.url()});
  absl::Status status;
  std::thread thread([&] { status = client.Post("{}", {}, kLong).status(); });
  EXPECT_TRUE(receiver.WaitForPosts(1));
  client.Cancel();
  thread.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
  EXPECT_EQ(client.Post("{}", {}, kLong).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(receiver.posts().size(), 1u);
}

class HttpClientTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!authority_.Create()) GTEST_SKIP() << "no openssl command";
    ASSERT_TRUE(authority_.Vouch("receiver", "IP:127.0.0.1"));
    ASSERT_TRUE(authority_.Vouch("musterd", "DNS:musterd"));
  }

  std::string File(const std::string& name) { return authority_.File(name); }

  Authority authority_;
};

TEST_F(HttpClientTlsTest, TrustsTheAuthorityThatItWasGiven) {
  HttpReceiver receiver({}, {.certificate_file = File("receiver.pem"),
                             .key_file = File("receiver.key")});
  HttpClient trusting({.url = receiver.url(), .ca_file = File("ca.pem")});
  const auto response = trusting.Post("{}", {}, kLong);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  HttpClient strange({.url = receiver.url()});
  EXPECT_EQ(strange.Post("{}", {}, kLong).status().code(),
            absl::StatusCode::kUnavailable);
  HttpClient lost({.url = receiver.url(), .ca_file = File("none.pem")});
  EXPECT_EQ(lost.Post("{}", {}, kLong).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(receiver.posts().size(), 1u);
}

TEST_F(HttpClientTlsTest, ShowsItsCertificate) {
  HttpReceiver receiver({}, {.certificate_file = File("receiver.pem"),
                             .key_file = File("receiver.key"),
                             .client_ca_file = File("ca.pem")});
  HttpClient known({.url = receiver.url(),
                    .ca_file = File("ca.pem"),
                    .certificate_file = File("musterd.pem"),
                    .key_file = File("musterd.key")});
  const auto response = known.Post("{}", {}, kLong);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  HttpClient unknown({.url = receiver.url(), .ca_file = File("ca.pem")});
  EXPECT_FALSE(unknown.Post("{}", {}, kLong).ok());
  EXPECT_EQ(receiver.posts().size(), 1u);
}

}  // namespace
}  // namespace muster::sinks
