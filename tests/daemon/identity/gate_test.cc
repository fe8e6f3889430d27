#include "daemon/identity/gate.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/testing/authority.h"

namespace muster::identity {
namespace {

constexpr char kOne[] = "one-one-one-one-1";
constexpr char kTwo[] = "two-two-two-two-2";

class GateTest : public ::testing::Test {
 protected:
  std::string File(const std::string& name) const {
    return authority_.File(name);
  }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(File(name)) << text;
  }
  void Copy(const std::string& from, const std::string& to) const {
    std::filesystem::copy_file(
        File(from), File(to),
        std::filesystem::copy_options::overwrite_existing);
  }
  std::unique_ptr<Gate> Make(const Options& options) {
    auto gate = Gate::Create(
        options, {[this] { return now_; }, [] { return absl::Now(); }},
        [this](bool failing, const std::string& line) {
          lines_.push_back((failing ? "! " : "  ") + line);
        });
    if (!gate.ok()) {
      error_ = std::string(gate.status().message());
      return nullptr;
    }
    return *std::move(gate);
  }
  static std::string NameOf(const Gate& gate, const std::string& token) {
    const auto caller = gate.Identify({}, "Bearer " + token);
    return caller.ok() ? caller->name() : "?";
  }

  Authority authority_;
  absl::Duration now_ = absl::Seconds(100);
  std::vector<std::string> lines_;
  std::string error_;
};

TEST_F(GateTest, IsOpenUntilSomethingIsConfigured) {
  const auto gate = Make({});
  ASSERT_NE(gate, nullptr);
  EXPECT_TRUE(gate->open());
  EXPECT_EQ(gate->tls(), nullptr);
  EXPECT_TRUE(gate->Allows({}, Verb::kReport, "r"));
  EXPECT_TRUE(gate->stats().denied.empty());
}

TEST_F(GateTest, KnowsTokensAndCertificates) {
  Write("tokens", absl::StrCat("a: ", kOne, "\n"));
  const auto gate = Make({.auth = {.tokens_file = File("tokens")}});
  ASSERT_NE(gate, nullptr);
  const auto both =
      gate->Identify({"n1", "spiffe://x"}, absl::StrCat("Bearer ", kOne));
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->identities,
            (std::vector<std::string>{"token:a", "certificate:n1",
                                      "certificate:spiffe://x"}));
  EXPECT_EQ(both->name(), "token:a");
  EXPECT_TRUE(gate->Identify({}, "")->identities.empty());
  // A token that is wrong is not made good by a certificate.
  EXPECT_FALSE(gate->Identify({"n1"}, "Bearer wrong").ok());
  EXPECT_FALSE(gate->Identify({}, "nonsense").ok());
  // Basic, of user "a" and of user "b" with the same password.
  EXPECT_TRUE(gate->Identify({}, "Basic YTpvbmUtb25lLW9uZS1vbmUtMQ==").ok());
  EXPECT_FALSE(gate->Identify({}, "Basic YjpvbmUtb25lLW9uZS1vbmUtMQ==").ok());
}

TEST_F(GateTest, ReadsTokensAgainAndForgetsThoseThatAreGone) {
  Write("tokens", absl::StrCat("a: ", kOne, "\n"));
  const auto gate = Make({.auth = {.tokens_file = File("tokens")}});
  ASSERT_NE(gate, nullptr);
  const auto caller = gate->Identify({}, absl::StrCat("Bearer ", kOne));
  ASSERT_TRUE(caller.ok());
  const uint64_t generation = gate->generation();
  gate->Refresh();
  EXPECT_EQ(gate->generation(), generation);
  EXPECT_TRUE(gate->StillKnown(*caller));

  Write("tokens", absl::StrCat("a: ", kTwo, "\n"));
  gate->Refresh();
  EXPECT_NE(gate->generation(), generation);
  EXPECT_FALSE(gate->StillKnown(*caller));
  EXPECT_EQ(NameOf(*gate, kTwo), "token:a");
  EXPECT_EQ(NameOf(*gate, kOne), "?");
  EXPECT_EQ(lines_, std::vector<std::string>{"  auth: tokens re-read"});
}

TEST_F(GateTest, KeepsTokensWhenTheFileTurnsBadAndTellsOnce) {
  Write("tokens", absl::StrCat("a: ", kOne, "\n"));
  const auto gate = Make({.auth = {.tokens_file = File("tokens")}});
  ASSERT_NE(gate, nullptr);
  Write("tokens", "a: short\n");
  for (int i = 0; i < 4; ++i) gate->Refresh();
  EXPECT_EQ(NameOf(*gate, kOne), "token:a");
  EXPECT_TRUE(gate->stats().stale);
  EXPECT_EQ(lines_,
            std::vector<std::string>{absl::StrCat(
                "! auth.tokens_file '", File("tokens"),
                "': line 1: a token has 16 to 1024 visible characters of "
                "ASCII, no blanks; what was read before stays in force")});
  Write("tokens", absl::StrCat("a: ", kOne, "\n"));
  gate->Refresh();
  EXPECT_FALSE(gate->stats().stale);
}

TEST_F(GateTest, DoesNotStartWithoutItsTokens) {
  EXPECT_EQ(Make({.auth = {.tokens_file = File("none")}}), nullptr);
  EXPECT_EQ(error_, absl::StrCat("auth.tokens_file '", File("none"),
                                 "': cannot be read: No such file or "
                                 "directory"));
}

TEST_F(GateTest, ExchangesAPairAndKeepsTheOldOneWhileTheNewIsBad) {
  if (!authority_.Create()) GTEST_SKIP() << "no openssl command";
  ASSERT_TRUE(authority_.Vouch("one", "DNS:localhost"));
  ASSERT_TRUE(authority_.Vouch("two", "DNS:localhost"));
  Copy("one.pem", "tls.pem");
  Copy("one.key", "tls.key");
  const auto gate = Make(
      {.tls = {.cert_file = File("tls.pem"), .key_file = File("tls.key")}});
  ASSERT_NE(gate, nullptr) << error_;
  EXPECT_TRUE(gate->open());  // TLS alone asks nobody who they are
  const auto first = gate->tls();
  gate->Refresh();
  EXPECT_EQ(gate->tls(), first);

  // Half of the exchange is seen once: no news.
  Copy("two.pem", "tls.pem");
  gate->Refresh();
  EXPECT_EQ(gate->tls(), first);
  EXPECT_TRUE(lines_.empty());
  // Still there at the next look: it is.
  gate->Refresh();
  gate->Refresh();
  EXPECT_EQ(gate->tls(), first);
  EXPECT_EQ(lines_,
            std::vector<std::string>{absl::StrCat(
                "! tls.key_file '", File("tls.key"),
                "': does not match the certificate in '", File("tls.pem"),
                "'; what was read before stays in force")});
  Copy("two.key", "tls.key");
  gate->Refresh();
  EXPECT_EQ(gate->tls()->chain, authority_.Text("two.pem"));
  EXPECT_EQ(lines_.size(), 2u);
  EXPECT_EQ(lines_.back().substr(0, 25), "  tls: files re-read; the");
  EXPECT_FALSE(gate->stats().stale);
}

TEST_F(GateTest, CountsDenialsAndDoesNotFillTheLog) {
  Write("tokens", absl::StrCat("a: ", kOne, "\n"));
  const auto gate = Make({.auth = {.tokens_file = File("tokens")}});
  ASSERT_NE(gate, nullptr);
  EXPECT_EQ((gate->stats().denied[{"report", "rank_taken"}]), 0u);
  for (int i = 0; i < 100; ++i) {
    gate->Deny(Verb::kQuery, Denial::kNotAllowed, "token:a");
  }
  EXPECT_EQ((gate->stats().denied[{"query", "not_allowed"}]), 100u);
  ASSERT_EQ(lines_.size(), 10u);
  EXPECT_EQ(lines_[0], "! denied: query, not_allowed: token:a");
  now_ += absl::Seconds(11);
  gate->Deny(Verb::kReport, Denial::kUnauthenticated, "nobody");
  ASSERT_EQ(lines_.size(), 11u);
  EXPECT_EQ(lines_[10],
            "! denied: report, unauthenticated: nobody (and 90 more since the "
            "last line)");
}

}  // namespace
}  // namespace muster::identity
