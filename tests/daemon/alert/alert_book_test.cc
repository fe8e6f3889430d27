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

  // Most tests are about what comes before patience.
  AlertBook book_{AlertOptions{.resolve_frames = 0}};
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

TEST_F(AlertBookTest, KindAndRanksTellIncidentsApart) {
  Raise(5);
  std::vector<Alert> changes;
  detect::Finding other = MakeFinding(detect::Phase::kRaise, 5);
  other.kind = detect::Kind::kNonFinite;
  book_.Take(other, true, At(0), changes);
  other = MakeFinding(detect::Phase::kRaise, 5, 4);
  book_.Take(other, true, At(0), changes);
  EXPECT_EQ(changes.size(), 2u);
  ASSERT_EQ(book_.alive().size(), 3u);
  EXPECT_EQ(book_.alive()[2].id, 3u);
}

TEST_F(AlertBookTest, SubjectsArePiecesOfOneIncident) {
  Raise(5);
  std::vector<Alert> changes;
  detect::Finding norm = MakeFinding(detect::Phase::kRaise, 7);
  norm.subject = "gradient_norm";
  norm.first_step = 3;  // its onset was earlier
  norm.value = 9;
  norm.evidence = "norm at 7";
  book_.Take(norm, true, At(0), changes);
  EXPECT_TRUE(changes.empty());
  ASSERT_EQ(book_.alive().size(), 1u);
  const Alert& alert = book_.alive()[0];
  EXPECT_EQ(alert.finding.first_step, 3u);
  EXPECT_EQ(alert.finding.last_step, 7u);
  EXPECT_EQ(alert.finding.subject, "loss");
  EXPECT_EQ(alert.finding.evidence, "at 5");
  ASSERT_EQ(alert.evidence.size(), 2u);
  EXPECT_EQ(alert.evidence[0].last_step, 5u);
  EXPECT_EQ(alert.evidence[1].subject, "gradient_norm");
  EXPECT_EQ(alert.evidence[1].first_step, 3u);
  EXPECT_EQ(alert.evidence[1].value, 9);

  // The loss is well again: the norm leads, and the incident goes on.
  EXPECT_TRUE(Clear(9).empty());
  EXPECT_FALSE(book_.alive()[0].evidence[0].standing);
  EXPECT_EQ(book_.alive()[0].finding.subject, "gradient_norm");
  EXPECT_EQ(book_.alive()[0].finding.evidence, "norm at 7");
  norm.phase = detect::Phase::kClear;
  book_.Take(norm, true, At(12), changes);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kResolved);
  EXPECT_EQ(changes[0].evidence.size(), 2u);
}

TEST_F(AlertBookTest, PiecesAreBounded) {
  std::vector<Alert> changes;
  detect::Finding finding = MakeFinding(detect::Phase::kRaise, 5);
  for (size_t i = 0; i < kMaxEvidence + 3; ++i) {
    finding.subject = "fact" + std::to_string(i);
    book_.Take(finding, true, At(0), changes);
  }
  ASSERT_EQ(book_.alive().size(), 1u);
  EXPECT_EQ(book_.alive()[0].evidence.size(), kMaxEvidence);
  EXPECT_EQ(book_.alive()[0].evidence_omitted, 3u);
  // One that is gone makes room.
  finding.phase = detect::Phase::kClear;
  finding.subject = "fact1";
  book_.Take(finding, true, At(0), changes);
  finding.phase = detect::Phase::kRaise;
  finding.subject = "new";
  book_.Take(finding, true, At(0), changes);
  EXPECT_EQ(book_.alive()[0].evidence.size(), kMaxEvidence);
  EXPECT_EQ(book_.alive()[0].evidence.back().subject, "new");
  EXPECT_EQ(book_.alive()[0].evidence_omitted, 3u);
}

TEST_F(AlertBookTest, StaysForSomeFramesWithoutEvidence) {
  Use({.resolve_frames = 2});
  Raise(5);
  std::vector<Alert> changes = Clear(6);
  book_.EndFrame(At(106), changes);
  book_.EndFrame(At(107), changes);
  EXPECT_TRUE(changes.empty());
  EXPECT_EQ(book_.alive()[0].state, State::kFiring);
  // Evidence that comes back continues it, and patience begins anew.
  EXPECT_TRUE(Raise(8).empty());
  book_.EndFrame(At(108), changes);
  EXPECT_TRUE(Clear(9).empty());
  for (int64_t step = 9; step < 11; ++step) {
    book_.EndFrame(At(100 + step), changes);
  }
  EXPECT_TRUE(changes.empty());
  book_.EndFrame(At(111), changes);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kResolved);
  EXPECT_EQ(changes[0].id, 1u);
  EXPECT_EQ(changes[0].changed, At(111));
}

TEST_F(AlertBookTest, WhatIsReplacedResolvesAtOnce) {
  Use({.resolve_frames = 8});
  Raise(5);
  std::vector<Alert> changes;
  book_.Take(MakeFinding(detect::Phase::kReplaced, 6), true, At(0), changes);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kResolved);
}

TEST_F(AlertBookTest, ObservedKindsNeverFire) {
  detect::KindSettings kinds = detect::DefaultKindSettings();
  const auto outlier = static_cast<size_t>(detect::Kind::kRankOutlier);
  kinds[outlier] = {detect::Mode::kObserve, detect::Severity::kCritical};
  book_.~AlertBook();
  new (&book_) AlertBook({.pending_steps = 2, .resolve_frames = 0}, kinds);
  EXPECT_EQ(Raise(5)[0].state, State::kPending);
  const auto observed = Raise(6);
  ASSERT_EQ(observed.size(), 1u);
  EXPECT_EQ(observed[0].state, State::kObserved);
  EXPECT_EQ(observed[0].severity, detect::Severity::kCritical);
  EXPECT_EQ(observed[0].fired, absl::InfinitePast());
  EXPECT_EQ(book_.fired_total()[outlier], 0u);
  EXPECT_TRUE(Raise(7).empty());
  const auto resolved = Clear(8);
  ASSERT_EQ(resolved.size(), 1u);
  EXPECT_EQ(resolved[0].fired, absl::InfinitePast());
  EXPECT_EQ(book_.resolved().size(), 1u);  // it was shown, and still is
}

TEST_F(AlertBookTest, NamesTheFactMismatchThatMayExplainIt) {
  std::vector<Alert> changes;
  detect::Finding fact = MakeFinding(detect::Phase::kRaise, 4);
  fact.kind = detect::Kind::kFactMismatch;
  fact.subject = "module_mode";
  fact.ranks = {3, 5};
  fact.evidence = "module_mode differs.";
  book_.Take(fact, true, At(0), changes);
  const Alert alert = Raise(5)[0];
  EXPECT_EQ(alert.explained_by, 1u);
  EXPECT_EQ(alert.finding.evidence,
            "at 5 Alert 1 may explain it: module_mode differs.");
  EXPECT_EQ(alert.evidence[0].sentence, "at 5");
  // Not for other ranks, nor for what facts cannot cause.
  EXPECT_EQ(Raise(5, 4)[0].explained_by, 0u);
  changes.clear();
  detect::Finding missing = MakeFinding(detect::Phase::kRaise, 5);
  missing.kind = detect::Kind::kRankMissing;
  book_.Take(missing, true, At(0), changes);
  EXPECT_EQ(changes[0].explained_by, 0u);
  // What befalls the run as a whole follows from any.
  detect::Finding shift = MakeFinding(detect::Phase::kRaise, 5);
  shift.kind = detect::Kind::kDispersionShift;
  shift.ranks = {};
  changes.clear();
  book_.Take(shift, true, At(0), changes);
  EXPECT_EQ(changes[0].explained_by, 1u);
}

TEST_F(AlertBookTest, AStalledRunIsNeitherPendingNorSilent) {
  Use({.pending_steps = 5});
  detect::Finding stalled = MakeFinding(detect::Phase::kRaise, 5);
  stalled.kind = detect::Kind::kRunStalled;
  std::vector<Alert> changes;
  book_.Take(stalled, true, At(0), changes);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kFiring);
  EXPECT_FALSE(changes[0].silent);
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
  Use({.pending_steps = 2, .resolve_frames = 8});
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
  Use({.resolve_frames = 0, .max_alive = 2});
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
  Use({.resolve_frames = 0, .keep_resolved = 2});
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
