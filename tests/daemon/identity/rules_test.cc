#include "daemon/identity/rules.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace muster::identity {
namespace {

Rules Make(const std::vector<Rule>& rules, bool open = false) {
  auto made = Rules::Create(rules, open);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

TEST(MatchesTest, StarStandsForAnyText) {
  struct Case {
    const char* pattern;
    const char* text;
    bool matches;
  };
  for (const Case& each : std::vector<Case>{{"*", "", true},
                                            {"*", "run", true},
                                            {"run", "run", true},
                                            {"run", "runs", false},
                                            {"run", "ru", false},
                                            {"team-a-*", "team-a-", true},
                                            {"team-a-*", "team-a-7", true},
                                            {"team-a-*", "team-b-7", false},
                                            {"*-a-*", "x-a-a-y", true},
                                            {"a*b*c", "aXXbYc", true},
                                            {"a*b*c", "aXXcYb", false},
                                            {"*aab", "aaaab", true},
                                            {"", "", true},
                                            {"", "x", false}}) {
    EXPECT_EQ(Matches(each.pattern, each.text), each.matches)
        << each.pattern << " " << each.text;
  }
}

TEST(RulesTest, AnswerEachCellOfTheTable) {
  const Rules rules =
      Make({{"token:team-a", "team-a-*", "report, query"},
            {"token:viewer", "*", "query"},
            {"token:prometheus", "*", "metrics"},
            {"certificate:*.ranks.example", "team-b-*,shared", "report"},
            {"anyone", "public", "query"}});
  struct Who {
    const char* name;
    Caller caller;
  };
  const std::vector<Who> callers = {
      {"a", {{"token:team-a"}}},
      {"viewer", {{"token:viewer"}}},
      {"prometheus", {{"token:prometheus"}}},
      {"node", {{"certificate:n1.ranks.example"}}},
      {"both", {{"token:viewer", "certificate:n1.ranks.example"}}},
      {"stranger", {{"certificate:n1.ranks.example.evil"}}},
      {"nobody", {}}};
  const std::vector<std::string> runs = {"team-a-1", "team-b-1", "shared",
                                         "public"};
  // By caller and verb; a letter for each run that is allowed.
  const std::vector<std::vector<std::string>> expected = {
      //  report  query   metrics
      {"x...", "x..x", "...."},  // a
      {"....", "xxxx", "...."},  // viewer
      {"....", "...x", "xxxx"},  // prometheus
      {".xx.", "...x", "...."},  // node
      {".xx.", "xxxx", "...."},  // both
      {"....", "...x", "...."},  // stranger
      {"....", "...x", "...."},  // nobody
  };
  const Verb verbs[] = {Verb::kReport, Verb::kQuery, Verb::kMetrics};
  for (size_t i = 0; i < callers.size(); ++i) {
    for (size_t v = 0; v < 3; ++v) {
      std::string row;
      for (const std::string& run : runs) {
        row += rules.Allows(callers[i].caller, verbs[v], run) ? 'x' : '.';
      }
      EXPECT_EQ(row, expected[i][v])
          << callers[i].name << " " << VerbName(verbs[v]);
      EXPECT_EQ(rules.AllowsAny(callers[i].caller, verbs[v]),
                row.find('x') != std::string::npos)
          << callers[i].name << " " << VerbName(verbs[v]);
    }
  }
}

TEST(RulesTest, WithoutRulesWhoHasShownSomethingMayDoAll) {
  const Rules known = Make({});
  EXPECT_TRUE(known.Allows({{"token:x"}}, Verb::kReport, "r"));
  EXPECT_TRUE(known.Allows({{"certificate:x"}}, Verb::kMetrics, "r"));
  EXPECT_FALSE(known.Allows({}, Verb::kQuery, "r"));
  EXPECT_FALSE(known.AllowsAny({}, Verb::kReport));
  const Rules open = Make({}, /*open=*/true);
  EXPECT_TRUE(open.Allows({}, Verb::kReport, "r"));
}

TEST(RulesTest, SaysWhatIsWrongWithARule) {
  const auto error = [](const Rule& rule) { return CheckRule(rule); };
  EXPECT_EQ(error({"token:a", "*", "query"}), "");
  EXPECT_EQ(error({"team-a", "*", "query"}),
            "'identity' must be token:NAME, certificate:NAME or anyone");
  EXPECT_EQ(error({"token:", "*", "query"}),
            "'identity' must be token:NAME, certificate:NAME or anyone");
  EXPECT_EQ(error({"", "*", "query"}),
            "'identity' must be token:NAME, certificate:NAME or anyone");
  EXPECT_EQ(error({"anyone", " , ", "query"}),
            "'runs' names no run; * stands for all");
  EXPECT_EQ(error({"anyone", "a b", "query"}),
            "'runs': a b can match no run id: A-Z a-z 0-9 . _ : - and *");
  EXPECT_EQ(error({"anyone", "*", "query, write"}),
            "'verbs': write is none of report, query, metrics");
  EXPECT_EQ(error({"anyone", "*", ""}),
            "'verbs' names none of report, query, metrics");
}

}  // namespace
}  // namespace muster::identity
