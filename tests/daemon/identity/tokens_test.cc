#include "daemon/identity/tokens.h"

#include <string>

#include "gtest/gtest.h"

namespace muster::identity {
namespace {

constexpr char kOne[] = "one-one-one-one-1";
constexpr char kTwo[] = "two-two-two-two-2";

std::string ErrorOf(const std::string& text) {
  const auto tokens = Tokens::Parse(text);
  return tokens.ok() ? "" : std::string(tokens.status().message());
}

TEST(TokensTest, NamesWhoseTokenItIs) {
  const auto tokens = Tokens::Parse(std::string("# ranks\n\nteam-a: ") + kOne +
                                    "\r\n  viewer : \"" + kTwo + "\"\n");
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(tokens->NameOf(DigestOf(kOne)), "team-a");
  EXPECT_EQ(tokens->NameOf(DigestOf(kTwo)), "viewer");
  EXPECT_EQ(tokens->NameOf(DigestOf("two-two-two-two-")), "");
  EXPECT_EQ(tokens->NameOf(DigestOf("")), "");
  EXPECT_EQ(tokens->NameOf(""), "");
}

TEST(TokensTest, HoldsTwoTokensOfOneNameWhileTheyAreExchanged) {
  const auto tokens = Tokens::Parse(std::string("a: ") + kOne + "\na: " + kTwo);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(tokens->NameOf(DigestOf(kOne)), "a");
  EXPECT_EQ(tokens->NameOf(DigestOf(kTwo)), "a");
}

TEST(TokensTest, NamesTheLineThatIsWrongButNeverTheToken) {
  EXPECT_EQ(ErrorOf(""), "there is no token in it");
  EXPECT_EQ(ErrorOf("# none\n"), "there is no token in it");
  EXPECT_EQ(ErrorOf(std::string("a: ") + kOne + "\njust-a-token-1234"),
            "line 2: expected NAME: TOKEN");
  EXPECT_EQ(ErrorOf("a b: one-one-one-one-1"),
            "line 1: a name has 1 to 64 of A-Z a-z 0-9 . _ -");
  for (const char* token : {"short", "fifteen-letters", "with a blank in it"}) {
    EXPECT_EQ(ErrorOf(std::string("a: ") + token),
              "line 1: a token has 16 to 1024 visible characters of ASCII, no "
              "blanks");
  }
  EXPECT_EQ(ErrorOf(std::string("a: ") + kOne + "\nb: " + kOne),
            "line 2: the same token has another name already");
}

TEST(TokenOfTest, ReadsBearerAndBasic) {
  std::string user;
  EXPECT_EQ(TokenOf("Bearer abc", &user), "abc");
  EXPECT_EQ(TokenOf("bearer  abc ", &user), "abc");
  EXPECT_EQ(user, "");
  // "name:pass:word"
  EXPECT_EQ(TokenOf("Basic bmFtZTpwYXNzOndvcmQ=", &user), "pass:word");
  EXPECT_EQ(user, "name");
  for (const char* bad : {"", "abc", "Basic !", "Basic bmFtZQ==", "Digest x"}) {
    EXPECT_EQ(TokenOf(bad, &user), "") << bad;
  }
}

}  // namespace
}  // namespace muster::identity
