#include "daemon/alert/alert.h"
#include "gtest/gtest.h"

namespace muster::alert {
namespace {

detect::Finding MakeFinding(detect::Phase phase, uint64_t step,
                            uint32_t rank = 3) {
  detect::Finding finding;
  finding.kind = detect::Kind::kRankOutlier;
  finding.phase = phase;
  finding.subject = "loss";
  finding.ranks = {rank};
  finding.attempt = 1;
  finding.first_step = step;
  finding.last_step = step;
  finding.value = static_cast<double>(step);
  if (phase == detect::Phase::kRaise) {
    finding.evidence = "at " + std::to_string(step);
  }
  return finding;
}

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }

class AlertBookTest : public ::testing::Test {
 protected:
  std::vector<Alert> Raise(uint64_t step, uint32_t rank = 3,
                           bool silent = true) {
    std::vector<Alert> changes;
    book_.Take(MakeFinding(detect::Phase::kRaise, step, rank), silent,
               At(100 + static_cast<int64_t>(step)), changes);
    return changes;
  }
  std::vector<Alert> Clear(uint64_t step, uint32_t rank = 3) {
    std::vector<Alert> changes;
    book_.Take(MakeFinding(detect::Phase::kClear, step, rank), true,
               At(100 + static_cast<int64_t>(step)), changes);
    return changes;
  }
  void Use(AlertOptions options) {
    book_.~AlertBook();
    new (&book_) AlertBook(options);
  }

  AlertBook book_{AlertOptions{}};
};

TEST_F(AlertBookTest, FiresAtOnceByDefault) {
  const auto changes = Raise(5);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].id, 1u);
  EXPECT_EQ(changes[0].state, State::kFiring);
  EXPECT_EQ(changes[0].changed, At(105));
  EXPECT_EQ(changes[0].fired, At(105));
  EXPECT_EQ(book_.alive().size(), 1u);
  EXPECT_EQ(
      book_.fired_total()[static_cast<size_t>(detect::Kind::kRankOutlier)], 1u);
}

TEST_F(AlertBookTest, FurtherRaisesContinueTheSameAlert) {
  Raise(5);
  EXPECT_TRUE(Raise(6).empty());
  ASSERT_EQ(book_.alive().size(), 1u);
  const Alert& alert = book_.alive()[0];
  EXPECT_EQ(alert.finding.first_step, 5u);
  EXPECT_EQ(alert.finding.last_step, 6u);
  EXPECT_EQ(alert.finding.value, 6);
  EXPECT_EQ(alert.finding.evidence, "at 6");
  EXPECT_EQ(alert.changed, At(105));
}

TEST_F(AlertBookTest, KindSubjectAndRanksTellAlertsApart) {
  Raise(5);
  std::vector<Alert> changes;
  detect::Finding other = MakeFinding(detect::Phase::kRaise, 5);
  other.subject = "direction";
  book_.Take(other, true, At(0), changes);
  other = MakeFinding(detect::Phase::kRaise, 5);
  other.kind = detect::Kind::kNonFinite;
  book_.Take(other, true, At(0), changes);
  other = MakeFinding(detect::Phase::kRaise, 5, 4);
  book_.Take(other, true, At(0), changes);
  EXPECT_EQ(changes.size(), 3u);
  ASSERT_EQ(book_.alive().size(), 4u);
  EXPECT_EQ(book_.alive()[3].id, 4u);
}

TEST_F(AlertBookTest, ClearResolvesAndKeepsTheEvidence) {
  Raise(5);
  Raise(8);
  const auto changes = Clear(20);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kResolved);
  EXPECT_EQ(changes[0].id, 1u);
  EXPECT_EQ(changes[0].changed, At(120));
  EXPECT_EQ(changes[0].fired, At(105));
  EXPECT_EQ(changes[0].finding.last_step, 8u);
  EXPECT_EQ(changes[0].finding.evidence, "at 8");
  EXPECT_TRUE(book_.alive().empty());
  ASSERT_EQ(book_.resolved().size(), 1u);
  EXPECT_TRUE(Clear(21).empty());
  EXPECT_EQ(Raise(30)[0].id, 2u);
}

TEST_F(AlertBookTest, PendingFiresAfterDistinctSteps) {
  Use({.pending_steps = 3});
  const auto pending = Raise(5);
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(pending[0].state, State::kPending);
  EXPECT_EQ(pending[0].fired, absl::InfinitePast());
  EXPECT_TRUE(Raise(5).empty());  // the same step does not count twice
  EXPECT_TRUE(Raise(6).empty());
  const auto firing = Raise(9);
  ASSERT_EQ(firing.size(), 1u);
  EXPECT_EQ(firing[0].state, State::kFiring);
  EXPECT_EQ(firing[0].fired, At(109));
  EXPECT_EQ(firing[0].id, pending[0].id);
  EXPECT_TRUE(Raise(10).empty());
}

TEST_F(AlertBookTest, PendingThatClearsNeverFired) {
  Use({.pending_steps = 2});
  Raise(5);
  const auto changes = Clear(6);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kResolved);
  EXPECT_EQ(changes[0].fired, absl::InfinitePast());
  EXPECT_TRUE(book_.resolved().empty());
  EXPECT_EQ(
      book_.fired_total()[static_cast<size_t>(detect::Kind::kRankOutlier)], 0u);
}

TEST_F(AlertBookTest, SilentOnlyWhileTheLossStaysInside) {
  EXPECT_TRUE(Raise(5, 3, true)[0].silent);
  Raise(6, 3, false);
  EXPECT_FALSE(book_.alive()[0].silent);
  Raise(7, 3, true);
  EXPECT_FALSE(book_.alive()[0].silent);
}

TEST_F(AlertBookTest, TooManyAreCountedAndNotKept) {
  Use({.max_alive = 2});
  Raise(1, 0);
  Raise(1, 1);
  EXPECT_TRUE(Raise(1, 2).empty());
  EXPECT_EQ(book_.overflow_count(), 1u);
  EXPECT_EQ(book_.alive().size(), 2u);
  // Those that are known go on, and a place that becomes free is taken.
  EXPECT_TRUE(Raise(2, 1).empty());
  Clear(3, 0);
  EXPECT_EQ(Raise(4, 2).size(), 1u);
  EXPECT_EQ(book_.overflow_count(), 1u);
}

TEST_F(AlertBookTest, ResolvedAreBoundedOldestFirstOut) {
  Use({.keep_resolved = 2});
  for (uint32_t rank = 0; rank < 3; ++rank) {
    Raise(rank, rank);
    Clear(rank, rank);
  }
  ASSERT_EQ(book_.resolved().size(), 2u);
  EXPECT_EQ(book_.resolved().front().finding.ranks[0], 1u);
  EXPECT_EQ(book_.resolved().back().finding.ranks[0], 2u);
}

TEST_F(AlertBookTest, EndOfTheRunResolvesAll) {
  Raise(1, 0);
  Raise(2, 1);
  std::vector<Alert> changes;
  book_.ResolveAll(At(500), changes);
  ASSERT_EQ(changes.size(), 2u);
  for (const Alert& alert : changes) {
    EXPECT_EQ(alert.state, State::kResolved);
    EXPECT_EQ(alert.changed, At(500));
  }
  EXPECT_TRUE(book_.alive().empty());
  EXPECT_EQ(book_.resolved().size(), 2u);
  EXPECT_EQ(Raise(3, 0).size(), 1u);
}

}  // namespace
}  // namespace muster::alert
