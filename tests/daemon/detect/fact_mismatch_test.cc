#include "daemon/detect/fact_mismatch.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/daemon/detect/judged.h"
#include "tests/testing/frame_builder.h"

namespace muster::detect {
namespace {

std::shared_ptr<const frames::FactSet> Facts(
    std::initializer_list<std::pair<const std::string, frames::Fact>> facts) {
  return std::make_shared<const frames::FactSet>(facts);
}

std::shared_ptr<const frames::FactSet> Seed(const std::string& seed) {
  return Facts({{"sampler_seed", {seed}}});
}

// A frame of the ranks that have facts; null: absent.
frames::Frame MakeFrame(
    uint64_t step,
    const std::vector<std::shared_ptr<const frames::FactSet>>& facts) {
  std::vector<frames::Report> reports;
  for (uint32_t rank = 0; rank < facts.size(); ++rank) {
    if (facts[rank] == nullptr) continue;
    reports.push_back(testing::MakeReport(rank, step));
    reports.back().facts = facts[rank];
  }
  return testing::MakeFrame(step, std::move(reports),
                            static_cast<uint32_t>(facts.size()));
}

frames::SourceUp Up(uint32_t rank, uint64_t parameters, std::string version) {
  frames::SourceUp up;
  up.info.rank = rank;
  up.info.parameter_count = parameters;
  up.info.client_version = std::move(version);
  return up;
}

class FactMismatchTest : public ::testing::Test {
 protected:
  FactMismatch detector_;
};

TEST_F(FactMismatchTest, AgreementSaysNothing) {
  for (uint64_t step = 0; step < 5; ++step) {
    EXPECT_TRUE(
        Judge(detector_, MakeFrame(step, {Seed("0"), Seed("0"), Seed("0")}))
            .empty());
  }
}

TEST_F(FactMismatchTest, NamesTheMinorityAtOnceAndWhileItLasts) {
  const auto zero = Seed("0");
  const auto seven = Seed("7");
  for (uint64_t step = 3; step < 6; ++step) {
    const auto findings =
        Judge(detector_, MakeFrame(step, {seven, zero, zero, zero}));
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].kind, Kind::kFactMismatch);
    EXPECT_EQ(findings[0].phase, Phase::kRaise);
    EXPECT_EQ(findings[0].subject, "sampler_seed");
    EXPECT_EQ(findings[0].ranks, Ranks{0});
    EXPECT_EQ(findings[0].first_step, 3u);
    EXPECT_EQ(findings[0].last_step, step);
    EXPECT_EQ(findings[0].value, 2);
    EXPECT_EQ(findings[0].expected, 1);
    EXPECT_EQ(findings[0].evidence,
              "sampler_seed differs: \"0\" on ranks 1, 2 and 3; \"7\" on rank "
              "0.");
  }
}

TEST_F(FactMismatchTest, ClearsWhenAgreementReturns) {
  Judge(detector_, MakeFrame(0, {Seed("7"), Seed("0"), Seed("0")}));
  const auto findings =
      Judge(detector_, MakeFrame(1, {Seed("0"), Seed("0"), Seed("0")}));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
  EXPECT_EQ(findings[0].subject, "sampler_seed");
  EXPECT_EQ(findings[0].ranks, Ranks{0});
  EXPECT_TRUE(Judge(detector_, MakeFrame(2, {Seed("0"), Seed("0"), Seed("0")}))
                  .empty());
}

TEST_F(FactMismatchTest, AbsenceOfTheNamedRankClearsNothing) {
  const auto zero = Seed("0");
  const auto seven = Seed("7");
  Judge(detector_, MakeFrame(0, {seven, zero, zero}));
  EXPECT_TRUE(Judge(detector_, MakeFrame(1, {nullptr, zero, zero})).empty());
  EXPECT_EQ(CountRaises(Judge(detector_, MakeFrame(2, {seven, zero, zero}))),
            1u);
}

TEST_F(FactMismatchTest, DepartureOfTheNamedRankClears) {
  const auto zero = Seed("0");
  Judge(detector_, MakeFrame(0, {Seed("7"), zero, zero}));
  Take(detector_, frames::SourceDown{0, 1, frames::DownReason::kDeparted, {}});
  const auto findings = Judge(detector_, MakeFrame(1, {nullptr, zero, zero}));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kClear);
}

TEST_F(FactMismatchTest, AnotherMinorityIsAnotherAlert) {
  const auto zero = Seed("0");
  const auto seven = Seed("7");
  Judge(detector_, MakeFrame(0, {seven, zero, zero, zero}));
  const auto findings =
      Judge(detector_, MakeFrame(1, {zero, seven, zero, zero}));
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].phase, Phase::kReplaced);
  EXPECT_EQ(findings[0].ranks, Ranks{0});
  EXPECT_EQ(findings[1].phase, Phase::kRaise);
  EXPECT_EQ(findings[1].ranks, Ranks{1});
  EXPECT_EQ(findings[1].first_step, 1u);
}

TEST_F(FactMismatchTest, OnlyPresentRanksAreCompared) {
  // A fact of the step: rank 2 is behind, not different.
  EXPECT_TRUE(Judge(detector_, MakeFrame(0, {Seed("0"), Seed("0"), Seed("0")}))
                  .empty());
  EXPECT_TRUE(
      Judge(detector_, MakeFrame(1, {Seed("1"), Seed("1"), nullptr})).empty());
  EXPECT_TRUE(
      Judge(detector_, MakeFrame(2, {nullptr, nullptr, Seed("2")})).empty());
}

TEST_F(FactMismatchTest, ShownOnlyFactsAreNotJudged) {
  EXPECT_TRUE(
      Judge(detector_, MakeFrame(0, {Facts({{"torch_seed", {"1", true}}}),
                                     Facts({{"torch_seed", {"2", true}}})}))
          .empty());
}

TEST_F(FactMismatchTest, SilentRankDiffersWhereMostStateIt) {
  const auto findings =
      Judge(detector_, MakeFrame(0, {Seed("0"), Facts({}), Seed("0")}));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].ranks, Ranks{1});
  EXPECT_NE(findings[0].evidence.find("(not stated)"), std::string::npos);
}

// Names that only one rank states are nobody's business, and must not cost a
// vote of each rank each.
TEST_F(FactMismatchTest, PrivateNamesOfManyRanksAreNoMismatch) {
  std::vector<std::shared_ptr<const frames::FactSet>> facts;
  for (int rank = 0; rank < 300; ++rank) {
    frames::FactSet set;
    for (int i = 0; i < 64; ++i) {
      set[absl::StrCat("private-", rank, "-", i)] = {"x"};
    }
    facts.push_back(std::make_shared<const frames::FactSet>(std::move(set)));
  }
  EXPECT_TRUE(Judge(detector_, MakeFrame(1, facts)).empty());
}

TEST_F(FactMismatchTest, SilenceOfHalfTheRanksIsNoMismatch) {
  const auto said = Seed("7");
  const auto nothing = Facts({});
  EXPECT_TRUE(
      Judge(detector_, MakeFrame(1, {said, said, nothing, nothing})).empty());
  EXPECT_EQ(
      Judge(detector_, MakeFrame(2, {said, said, said, nothing, nothing}))[0]
          .ranks,
      (Ranks{3, 4}));
}

TEST_F(FactMismatchTest, SeveralFactsAreSeveralFindings) {
  const auto a = Facts({{"dtype", {"bf16"}}, {"mode", {"train"}}});
  const auto b = Facts({{"dtype", {"fp32"}}, {"mode", {"eval"}}});
  const auto findings = Judge(detector_, MakeFrame(0, {a, a, b}));
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].subject, "dtype");
  EXPECT_EQ(findings[1].subject, "mode");
  EXPECT_EQ(findings[1].ranks, Ranks{2});
}

TEST_F(FactMismatchTest, ComparesParameterCountAndVersionOfPresentSources) {
  Take(detector_, Up(0, 1000, "0.1.0"));
  Take(detector_, Up(1, 1000, "0.1.0"));
  Take(detector_, Up(2, 999, "0.2.0"));
  const auto none = Facts({});
  EXPECT_TRUE(Judge(detector_, MakeFrame(0, {none, none, nullptr})).empty());
  const auto findings = Judge(detector_, MakeFrame(1, {none, none, none}));
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].subject, "client_version");
  EXPECT_EQ(findings[1].subject, "parameter_count");
  EXPECT_EQ(findings[1].ranks, Ranks{2});
  // The rank comes back as the others are.
  Take(detector_, Up(2, 1000, "0.1.0"));
  const auto cleared = Judge(detector_, MakeFrame(2, {none, none, none}));
  ASSERT_EQ(cleared.size(), 2u);
  EXPECT_EQ(cleared[0].phase, Phase::kClear);
  EXPECT_EQ(cleared[1].phase, Phase::kClear);
}

TEST_F(FactMismatchTest, ComparesLearningRatesOfTheStep) {
  const auto none = Facts({});
  const auto with_rates = [&](uint64_t step, std::vector<double> rates) {
    frames::Frame frame = MakeFrame(step, {none, none, none});
    for (size_t i = 0; i < rates.size(); ++i) {
      frame.reports[i].learning_rate = rates[i];
    }
    return Judge(detector_, frame);
  };
  EXPECT_TRUE(with_rates(0, {0.1, 0.1, 0.1}).empty());
  // Differently rounded on its way is not different.
  EXPECT_TRUE(with_rates(1, {0.1, 0.1 * (1 + 1e-15), 0.1}).empty());
  const auto findings = with_rates(2, {0.1, 0.2, 0.1});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].subject, "learning_rate");
  EXPECT_EQ(findings[0].ranks, Ranks{1});
  EXPECT_EQ(findings[0].evidence,
            "learning_rate differs: \"0.1\" on ranks 0 and 2; \"0.2\" on rank "
            "1.");
  const auto cleared = with_rates(3, {0.1, 0.1, 0.1});
  ASSERT_EQ(cleared.size(), 1u);
  EXPECT_EQ(cleared[0].phase, Phase::kClear);
}

TEST_F(FactMismatchTest, StatedLearningRateTakesThePlaceOfTheReported) {
  const auto stated = Facts({{"learning_rate", {"0.1 for all"}}});
  frames::Frame frame = MakeFrame(0, {stated, stated});
  frame.reports[0].learning_rate = 0.1;
  frame.reports[1].learning_rate = 0.2;
  EXPECT_TRUE(Judge(detector_, frame).empty());
}

TEST_F(FactMismatchTest, OneRankIsNeverJudged) {
  EXPECT_TRUE(Judge(detector_, MakeFrame(0, {Seed("1")})).empty());
  frames::Frame empty = MakeFrame(1, {nullptr, nullptr});
  EXPECT_TRUE(Judge(detector_, empty).empty());
}

TEST_F(FactMismatchTest, NewWorldSizeClears) {
  Judge(detector_, MakeFrame(0, {Seed("7"), Seed("0"), Seed("0")}));
  frames::AttemptBegan began;
  began.world_size = 2;
  began.world_size_changed = true;
  const auto findings = Take(detector_, began);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].phase, Phase::kReplaced);
}

}  // namespace
}  // namespace muster::detect
