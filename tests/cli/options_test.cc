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

TEST(OptionsTest, ReportIsComparedOnlyWithBothRunAndFile) {
  const auto plain = Parse({"report", "new", "-o", "-"});
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->verb, Verb::kReport);
  EXPECT_EQ(plain->run, "new");
  EXPECT_EQ(plain->output_file, "-");
  const auto compared =
      Parse({"report", "--reference", "old", "--history", "a.db"});
  ASSERT_TRUE(compared.ok()) << compared.status();
  EXPECT_EQ(compared->reference, "old");
  EXPECT_EQ(compared->history, "a.db");
  EXPECT_THAT(ErrorOf({"report", "--reference", "old"}),
              HasSubstr("--reference requires --history"));
  EXPECT_THAT(ErrorOf({"report", "--history", "a.db"}),
              HasSubstr("--history requires --reference"));
  EXPECT_THAT(ErrorOf({"report", "--reference-history", "a.db"}),
              HasSubstr("--reference"));
}

TEST(OptionsTest, CompareTakesTwoRunsAndTheirFiles) {
  const auto options = Parse({"compare", "new", "old", "--history", "a.db"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->verb, Verb::kCompare);
  EXPECT_EQ(options->run, "new");
  EXPECT_EQ(options->reference, "old");
  EXPECT_EQ(options->history, "a.db");
  EXPECT_EQ(options->reference_history, "");
  EXPECT_EQ(Parse({"compare", "new", "old", "--history", "a.db",
                   "--reference-history", "b.db"})
                ->reference_history,
            "b.db");
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
  EXPECT_THAT(ErrorOf({"tops"}), HasSubstr("tops"));
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

TEST(OptionsTest, SimulationTakesItsModelFromFlags) {
  const auto options = Parse(
      {"simulate", "night", "--steps", "7", "--ranks", "16", "--tails",
       "student-t3", "--weights", "fixed", "--lr-drop", "3", "--lr-drop", "5",
       "--fault", "loss-shift:3:300:4:20", "--fault", "exponent-flip:1:2"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->verb, Verb::kSimulate);
  EXPECT_EQ(options->run, "night");
  EXPECT_EQ(Parse({"simulate"})->run, "simulated");
  EXPECT_EQ(options->simulation.steps, 7u);
  const simulate::Options& model = options->simulation.model;
  EXPECT_EQ(model.ranks, 16u);
  EXPECT_EQ(model.tails, simulate::Tails::kStudentT3);
  EXPECT_EQ(model.weights, simulate::Weights::kFixed);
  EXPECT_EQ(model.lr_drops, (std::vector<uint64_t>{3, 5}));
  ASSERT_EQ(model.faults.size(), 2u);
  EXPECT_EQ(model.faults[0].kind, simulate::FaultKind::kLossShift);
  EXPECT_EQ(model.faults[0].rank, 3u);
  EXPECT_EQ(model.faults[0].onset, 300u);
  EXPECT_EQ(model.faults[0].size, 4);
  EXPECT_EQ(model.faults[0].steps, 20u);
  EXPECT_EQ(model.faults[1].size, 30);
}

TEST(OptionsTest, SimulationIsDividedAmongStreams) {
  const auto options =
      Parse({"simulate", "--ranks", "10000", "--streams", "1250",
             "--sketch-width", "64", "--sketch-pool", "12000"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->simulation.streams, 1250u);
  EXPECT_EQ(options->simulation.model.sketch_pool, 12000u);
  EXPECT_EQ(Parse({"simulate"})->simulation.streams, 1u);
  EXPECT_THAT(ErrorOf({"simulate", "--streams", "9"}),
              HasSubstr("--streams is 9; allowed for 8 ranks are 1 … 8"));
  EXPECT_THAT(ErrorOf({"simulate", "--ranks", "4097"}),
              HasSubstr("--streams is 1; allowed for 4097 ranks are 2 … 4097"));
  EXPECT_THAT(ErrorOf({"simulate", "--streams", "2", "--history", "trial.db"}),
              HasSubstr("--streams is for a run that is sent"));
}

TEST(OptionsTest, BadSimulationsSayWhatIsAllowed) {
  EXPECT_THAT(ErrorOf({"simulate", "--fault", "loss:1:2"}),
              HasSubstr("kind is none of loss-shift, "));
  EXPECT_THAT(ErrorOf({"simulate", "--fault", "loss-shift:1"}),
              HasSubstr("has 2 parts; allowed is KIND:RANK:ONSET"));
  EXPECT_THAT(ErrorOf({"simulate", "--fault", "loss-shift:8:2"}),
              HasSubstr("rank of fault loss-shift is 8; allowed are 0 … 7"));
  EXPECT_THAT(ErrorOf({"simulate", "--loss-noise", "3"}),
              HasSubstr("loss_noise is 3; allowed are 0 … 1"));
  EXPECT_THAT(ErrorOf({"simulate", "--ranks", "0"}), HasSubstr("--ranks"));
  EXPECT_THAT(ErrorOf({"simulate", "--steps", "0"}), HasSubstr("--steps"));
  EXPECT_THAT(ErrorOf({"simulate", "--tails", "thick"}), HasSubstr("--tails"));
}

}  // namespace
}  // namespace muster::cli
