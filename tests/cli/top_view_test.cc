#include "cli/top_view.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::cli {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::Not;
using ::testing::ResultOf;

constexpr absl::Time kNow = absl::FromUnixSeconds(1'700'000'010);

std::string Text(const Line& line) {
  std::string text;
  for (const Span& span : line) text += span.text;
  return text;
}

std::string Text(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += Text(line) + "\n";
  return text;
}

// Four ranks at step 99; rank 2's loss stands apart.
class TopViewTest : public ::testing::Test {
 protected:
  TopViewTest() {
    data_.address = "127.0.0.1:7600";
    data_.run = "lm";
    data_.taken = kNow;
    v1::Run& run = *data_.runs.add_runs();
    run.set_run("lm");
    run.set_state(v1::LIVE);
    run.set_world_size(4);
    run.set_newest_unix_nanos(absl::ToUnixNanos(kNow - absl::Seconds(3)));
    for (int step = 0; step < 100; ++step) {
      v1::Step& each = *data_.steps.add_steps();
      each.set_step(step);
      each.set_ranks_expected(4);
      each.set_ranks_reporting(4);
      each.set_loss_mean(4.0 - 0.02 * step);
      each.set_loss_stddev(0.125);
      each.set_gradient_cosine_mean(0.5);
    }
    *run.mutable_newest() = data_.steps.steps(99);
    for (uint32_t rank = 0; rank < 4; ++rank) {
      v1::Rank& each = *data_.ranks.add_ranks();
      each.set_rank(rank);
      each.set_host("node\x1b[2J");
      each.set_connected(true);
      each.set_last_step(99);
      each.mutable_values()->set_loss(rank == 2 ? 5.5 : 2.0 + 0.1 * rank);
      data_.deviations[rank] = Deviations(24, rank == 2 ? 6.0 : -0.5);
    }
    state_.run = "lm";
  }

  void Fire() {
    data_.runs.mutable_runs(0)->set_alerts_firing(1);
    v1::Alert& alert = *data_.alerts.add_alerts();
    alert.set_id(7);
    alert.set_kind("RankOutlier");
    alert.set_run("lm");
    alert.set_state(v1::FIRING);
    alert.add_ranks(2);
    alert.set_first_step(60);
    alert.set_silent(true);
    alert.set_evidence("Rank 2's loss has been above the others.");
  }
  std::vector<Line> Render(size_t width = 140, size_t height = 30) const {
    return RenderTop(data_, state_, width, height, Glyphs::kBlocks, kNow);
  }
  // Ranks in the order of the rows.
  std::vector<int> Order() const {
    std::vector<int> order;
    bool rows = false;
    for (const Line& line : Render()) {
      const std::string text = Text(line);
      int rank = 0;
      if (rows && std::sscanf(text.c_str(), " %d  node", &rank) == 1) {
        order.push_back(rank);
      }
      rows |= text.find("RANK  HOST") != std::string::npos;
    }
    return order;
  }

  TopData data_;
  TopState state_;
};

TEST_F(TopViewTest, SaysFirstWhetherTheRanksAgree) {
  EXPECT_THAT(Text(Render()[1]),
              HasSubstr("● lm: 4 of 4 ranks agree at step 99, judged 3s ago"));
  EXPECT_EQ(Render()[1][0].tone, Tone::kGood);
  Fire();
  EXPECT_EQ(Render()[1][0].tone, Tone::kBad);
  EXPECT_THAT(Text(Render()[2]),
              AllOf(HasSubstr("#7 RankOutlier rank 2 since step 60"),
                    HasSubstr("silent: the mean loss does not show it"),
                    HasSubstr("Rank 2's loss has been above the others.")));
}

TEST_F(TopViewTest, OrdersTheRanksByEachKey) {
  EXPECT_THAT(Order(), ElementsAre(2, 0, 1, 3));
  state_.sort = TopSort::kRank;
  EXPECT_THAT(Order(), ElementsAre(0, 1, 2, 3));
  state_.sort = TopSort::kLoss;
  EXPECT_THAT(Order(), ElementsAre(2, 3, 1, 0));
  state_.reversed = true;
  EXPECT_THAT(Order(), ElementsAre(0, 1, 3, 2));
  state_.reversed = false;
  data_.ranks.mutable_ranks(2)->mutable_values()->clear_loss();
  EXPECT_THAT(Order(), ElementsAre(3, 1, 0, 2)) << "what has no loss is last";
}

TEST_F(TopViewTest, ShowsDeviationsAsBarsOfOneScale) {
  const std::string text = Text(Render());
  EXPECT_THAT(text, HasSubstr("+6.0  ████████████████████████"));
  EXPECT_THAT(text, HasSubstr("-0.5  ▁▁▁"));
}

TEST_F(TopViewTest, FitsEverySize) {
  Fire();
  for (const bool list : {false, true}) {
    if (list) state_.run.clear();
    for (const bool help : {false, true}) {
      state_.help = help;
      for (size_t width = 1; width < 160; width += 7) {
        for (size_t height = 1; height < 40; ++height) {
          const auto lines = Render(width, height);
          ASSERT_EQ(lines.size(), height);
          ASSERT_THAT(lines,
                      Each(ResultOf(
                          [](const Line& line) { return Columns(Text(line)); },
                          Le(width))));
        }
      }
    }
  }
}

TEST_F(TopViewTest, NothingFromARankSteersTheTerminal) {
  Fire();
  data_.alerts.mutable_alerts(0)->set_evidence("bad \x1b]0;title\x07");
  data_.trouble = "no\x1b[31m";
  EXPECT_THAT(Text(Render()), Not(HasSubstr("\x1b")));
}

TEST_F(TopViewTest, TellsThatTheDaemonIsLostAndSinceWhen) {
  data_.trouble = "connection refused";
  data_.taken = kNow - absl::Seconds(42);
  EXPECT_THAT(Text(Render()[0]),
              HasSubstr("no answer for 42s: connection refused"));
  EXPECT_EQ(Order().size(), 4u) << "the last answers stay";
}

TEST_F(TopViewTest, TheListHasAVerdictForEachRunAndMarksTheChosenOne) {
  v1::Run& silent = *data_.runs.add_runs();
  silent.set_run("stalled");
  silent.set_state(v1::SILENT);
  state_.run.clear();
  state_.selected = 1;
  const auto lines = Render();
  EXPECT_THAT(Text(lines[2]), AllOf(HasSubstr("● lm"), HasSubstr("4/4"),
                                    HasSubstr("4 of 4 ranks agree")));
  EXPECT_THAT(Text(lines[3]),
              AllOf(HasSubstr("▲ stalled"), HasSubstr("no rank is connected")));
  EXPECT_EQ(lines[2][1].tone, Tone::kPlain);
  EXPECT_EQ(lines[3][1].tone, Tone::kReverse);
}

TEST_F(TopViewTest, AnswersOfAnotherRunAreNotShownAsThisOnes) {
  v1::Run& other = *data_.runs.add_runs();
  other.set_run("other");
  state_.run = "other";
  EXPECT_THAT(Text(Render()), Not(HasSubstr("node")));
}

TEST_F(TopViewTest, ScrollsNoFurtherThanTheLastRank) {
  for (uint32_t rank = 4; rank < 64; ++rank) {
    data_.ranks.add_ranks()->set_rank(rank);
  }
  state_.sort = TopSort::kRank;
  state_.scroll = TopScrollEnd(data_, 30);
  EXPECT_THAT(Text(Render()), HasSubstr("    63  "));
  EXPECT_EQ(TopScrollEnd(data_, 200), 0u);
}

}  // namespace
}  // namespace muster::cli
