#include <limits>

#include "daemon/alert/alert.h"
#include "gtest/gtest.h"

namespace muster::alert {
namespace {

Alert MakeAlert() {
  Alert alert;
  alert.id = 7;
  alert.state = State::kFiring;
  alert.silent = true;
  alert.finding.kind = detect::Kind::kRankOutlier;
  alert.finding.subject = "loss";
  alert.finding.ranks = {3, 5};
  alert.finding.attempt = 2;
  alert.finding.first_step = 10;
  alert.finding.last_step = 49;
  alert.finding.value = 6.1;
  alert.finding.expected = 0.25;
  alert.finding.evidence = "Rank 3 is odd.";
  alert.evidence = {{.subject = "loss", .sentence = "Rank 3 is odd."},
                    {.subject = "gradient_norm", .sentence = "Its norm too."},
                    {.subject = "direction", .standing = false}};
  alert.explained_by = 2;
  return alert;
}

TEST(LogLineTest, HasEveryField) {
  EXPECT_EQ(LogLine("gpt", MakeAlert()),
            "{\"run\":\"gpt\",\"id\":7,\"kind\":\"RankOutlier\","
            "\"severity\":\"warning\",\"state\":\"firing\",\"subject\":"
            "\"loss\",\"ranks\":[3,5],"
            "\"rank_count\":2,\"attempt\":2,\"first_step\":10,"
            "\"last_step\":49,\"value\":6.1,\"expected\":0.25,\"silent\":true,"
            "\"evidence\":\"Rank 3 is odd.\",\"further\":[\"Its norm too.\"],"
            "\"explained_by\":2}");
}

TEST(LogLineTest, EscapesWhatJsonForbids) {
  Alert alert = MakeAlert();
  alert.finding.subject = "a\"b\\c\n\x01\x7f";
  EXPECT_NE(LogLine("gpt", alert)
                .find("\"subject\":\"a\\\"b\\\\c\\u000a\\u0001\\u007f\""),
            std::string::npos);
}

TEST(LogLineTest, ReplacesWhatIsNotUtf8) {
  Alert alert = MakeAlert();
  // Kept: ß, €, 😀. Replaced: a lone continuation, an overlong slash, a
  // surrogate, a character cut short, a byte that never occurs.
  alert.finding.subject = "ß€😀|\x80|\xC0\xAF|\xED\xA0\x80|\xE2\x82|\xFF";
  EXPECT_NE(LogLine("gpt", alert)
                .find("\"subject\":\"ß€😀|\\ufffd|\\ufffd\\ufffd|"
                      "\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd|"
                      "\\ufffd\""),
            std::string::npos);
}

TEST(LogLineTest, NumbersThatJsonLacksAreNull) {
  Alert alert = MakeAlert();
  alert.finding.value = std::numeric_limits<double>::infinity();
  alert.finding.expected = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(LogLine("gpt", alert).find("\"value\":null,\"expected\":null"),
            std::string::npos);
}

TEST(LogLineTest, IsBounded) {
  Alert alert = MakeAlert();
  alert.finding.evidence = std::string(1 << 20, '\x01');
  alert.finding.subject = std::string(1 << 20, '"');
  alert.evidence.assign(kMaxEvidence,
                        {.sentence = std::string(1 << 20, '\x01')});
  alert.finding.ranks.assign(16384, 4294967295u);
  const std::string line = LogLine(std::string(1 << 20, 'a'), alert);
  EXPECT_LT(line.size(), 40000u);
  EXPECT_NE(line.find("\"rank_count\":16384"), std::string::npos);
}

}  // namespace
}  // namespace muster::alert
