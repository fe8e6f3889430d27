#include "cli/options.h"

#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::cli {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Options> Parse(
    std::vector<const char*> arguments,
    const std::map<std::string, std::string>& environment = {}) {
  arguments.insert(arguments.begin(), "muster");
  return ParseOptions(
      static_cast<int>(arguments.size()), arguments.data(),
      [&environment](const char* name) -> const char* {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
      });
}

std::string ErrorOf(std::vector<const char*> arguments) {
  return std::string(Parse(std::move(arguments)).status().message());
}

TEST(OptionsTest, ExplainsOneAlert) {
  EXPECT_EQ(Parse({"alerts", "run-7", "--explain", "12"})->explain, 12u);
  EXPECT_FALSE(Parse({"alerts"})->explain.has_value());
  EXPECT_THAT(ErrorOf({"alerts", "--explain", "-1"}), HasSubstr("--explain"));
}

TEST(OptionsTest, AddressComesFromFlagThenEnvironmentThenDefault) {
  EXPECT_EQ(Parse({"status"})->address, "127.0.0.1:7600");
  EXPECT_EQ(Parse({"status"}, {{"MUSTER_ADDRESS", ""}})->address,
            "127.0.0.1:7600");
  const std::map<std::string, std::string> set = {{"MUSTER_ADDRESS", "a:1"}};
  EXPECT_EQ(Parse({"status"}, set)->address, "a:1");
  EXPECT_EQ(Parse({"--address", "b:2", "status"}, set)->address, "b:2");
  EXPECT_EQ(Parse({"status", "--address", "b:2"}, set)->address, "b:2");
}

TEST(OptionsTest, EachVerbTakesARun) {
  const std::pair<const char*, Verb> verbs[] = {{"status", Verb::kStatus},
                                                {"runs", Verb::kRuns},
                                                {"ranks", Verb::kRanks},
                                                {"steps", Verb::kSteps},
                                                {"alerts", Verb::kAlerts}};
  for (const auto& [name, verb] : verbs) {
    const auto without = Parse({name});
    ASSERT_TRUE(without.ok()) << without.status();
    EXPECT_EQ(without->verb, verb);
    EXPECT_EQ(without->run, "");
    const auto with = Parse({name, "run-7", "--json"});
    ASSERT_TRUE(with.ok()) << with.status();
    EXPECT_EQ(with->verb, verb);
    EXPECT_EQ(with->run, "run-7");
    EXPECT_TRUE(with->json);
  }
}

TEST(OptionsTest, VerbsHaveFlagsOfTheirOwn) {
  const auto steps =
      Parse({"steps", "--from", "3", "--to=9", "r", "--limit", "5"});
  ASSERT_TRUE(steps.ok()) << steps.status();
  EXPECT_EQ(steps->from, 3u);
  EXPECT_EQ(steps->to, 9u);
  EXPECT_EQ(steps->limit, 5u);
  EXPECT_EQ(steps->run, "r");
  EXPECT_TRUE(Parse({"status", "--exit-code"})->exit_code);
  EXPECT_TRUE(Parse({"alerts", "--firing"})->firing_only);
}

TEST(OptionsTest, WrongUsageIsNamed) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("a verb is missing: status, runs"));
  EXPECT_THAT(ErrorOf({"top"}), HasSubstr("top"));
  EXPECT_THAT(ErrorOf({"status", "--exitcode"}), HasSubstr("--exitcode"));
  EXPECT_THAT(ErrorOf({"ranks", "a", "b"}), HasSubstr("b"));
  EXPECT_THAT(ErrorOf({"steps", "--limit", "0"}), HasSubstr("--limit"));
  EXPECT_THAT(ErrorOf({"steps", "--limit", "4097"}), HasSubstr("--limit"));
  EXPECT_THAT(ErrorOf({"steps", "--from", "-1"}), HasSubstr("--from"));
  EXPECT_THAT(ErrorOf({"steps", "--from", "x"}), HasSubstr("--from"));
  EXPECT_THAT(ErrorOf({"steps", "--from", "2", "--to", "1"}),
              HasSubstr("--from is 2; allowed: at most --to, 1"));
  EXPECT_THAT(ErrorOf({"status", "runs"}), ::testing::Not(""));
}

TEST(OptionsTest, HelpSaysWhatAPersonNeeds) {
  const auto help = Parse({"--help"});
  ASSERT_TRUE(help.ok()) << help.status();
  for (const char* word :
       {"status", "runs", "ranks", "steps", "alerts", "--address", "--json",
        "127.0.0.1:7600", "MUSTER_ADDRESS", "NO_COLOR", "Exit codes"}) {
    EXPECT_THAT(help->output.value_or(""), HasSubstr(word));
  }
  EXPECT_THAT(Parse({"steps", "--help"})->output.value_or(""),
              HasSubstr("--limit"));
  EXPECT_THAT(Parse({"--version"})->output.value_or(""), HasSubstr("muster "));
}

}  // namespace
}  // namespace muster::cli
