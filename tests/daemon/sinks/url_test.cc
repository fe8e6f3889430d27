#include "daemon/sinks/url.h"

#include "gtest/gtest.h"
#include "tests/daemon/sinks/an_alert.h"

namespace muster::sinks {
namespace {

TEST(CheckUrlTest, TakesWhatIsGood) {
  for (const char* url :
       {"http://host", "https://host:9093/prefix/", "http://[::1]:9093",
        "http://127.0.0.1:1?x=1", "https://host/a@b"}) {
    EXPECT_EQ(CheckUrl(url), "") << url;
  }
}

TEST(CheckUrlTest, SaysWhatIsWrong) {
  for (const char* url :
       {"", "host:9093", "ftp://host", "file:///etc/passwd", "http://",
        "http:///path", "http://:9093", "http://host:", "http://host:0",
        "http://host:99999", "http://host:9x", "http://[::1", "http://[::1]x",
        "http://host/a b", "http://host/\xC3\x9F", "http://a\\b"}) {
    EXPECT_NE(CheckUrl(url), "") << url;
  }
}

TEST(CheckUrlTest, RefusesCredentialsWithoutQuotingThem) {
  for (const char* url :
       {"http://me:geheim@host", "http://geheim@host", "http://a@b@geheim"}) {
    const std::string error = CheckUrl(url);
    EXPECT_NE(error.find("password_file"), std::string::npos) << error;
    EXPECT_EQ(error.find("geheim"), std::string::npos) << error;
  }
}

TEST(UrlTest, ShortenedIsWithoutWhatMayBeSecret) {
  for (const char* url : {"http://host", "https://host:9093/"}) {
    EXPECT_EQ(ShortenUrl(url), url);
  }
  EXPECT_EQ(ShortenUrl("https://[::1]:9093/geheim"), "https://[::1]:9093/…");
  EXPECT_EQ(ShortenUrl("http://host?geheim"), "http://host/…");
  EXPECT_EQ(PathOf("http://host:1/a/b?c#d"), "/a/b?c#d");
  EXPECT_EQ(PathOf("http://host"), "");
}

TEST(UrlTest, NamesTheHost) {
  EXPECT_EQ(HostOf("https://[::1]:9093/path?x"), "[::1]:9093");
  EXPECT_EQ(HostOf("http://alerts.example"), "alerts.example");
}

TEST(UrlTest, LinksToTheStepsAndRanksOfAnAlert) {
  SinkOptions options;
  const auto alert =
      AnAlert(7, alert::State::kFiring, absl::UnixEpoch(), {3, 5});
  EXPECT_EQ(PageLink(options, "gpt", alert), "");
  EXPECT_EQ(DashboardLink(options, "gpt"), "");
  options.external_url = "https://muster.example/prefix/";
  options.dashboard_url = "https://grafana.example/d/run?var-run={run}";
  EXPECT_EQ(PageLink(options, "gpt:2", alert),
            "https://muster.example/prefix/#/runs/"
            "gpt%3a2?from=10&to=49&rank=3,5");
  EXPECT_EQ(DashboardLink(options, "gpt:2"),
            "https://grafana.example/d/run?var-run=gpt%3a2");
}

}  // namespace
}  // namespace muster::sinks
