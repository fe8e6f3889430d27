#include "daemon/consistency/sample_accounts.h"

#include <memory>
#include <optional>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/frame_builder.h"

namespace muster::consistency {
namespace {

using testing::MakeFrame;
using testing::MakeReport;
using Ids = std::vector<uint64_t>;

frames::Report Drawn(uint32_t rank, uint64_t step, uint64_t epoch, Ids ids,
                     const frames::FactSet& facts = {}) {
  frames::Report report = MakeReport(rank, step);
  report.epoch = epoch;
  report.sample_ids = std::move(ids);
  report.facts = std::make_shared<const frames::FactSet>(facts);
  return report;
}

Measures MeasureFrame(SampleAccounts& accounts, const frames::Frame& frame) {
  Measures measures;
  for (const frames::Report& report : frame.reports) {
    measures.ranks.emplace_back().rank = report.rank;
  }
  accounts.Measure(frame, measures);
  return measures;
}

TEST(SampleAccountsTest, NothingRecordedIsAbsent) {
  SampleAccounts accounts;
  frames::Report without_epoch = MakeReport(1, 0);
  without_epoch.sample_ids = {1, 2};
  const Measures measures =
      MeasureFrame(accounts, MakeFrame(0, {MakeReport(0, 0), without_epoch}));
  EXPECT_FALSE(measures.samples);
  EXPECT_FALSE(measures.ranks[1].samples);
}

TEST(SampleAccountsTest, FollowsTheOldestEpochUntilAllHaveLeftIt) {
  SampleAccounts accounts;
  Measures m = MeasureFrame(
      accounts, MakeFrame(0, {Drawn(0, 0, 5, {1, 2}), Drawn(1, 0, 5, {3})}));
  EXPECT_EQ(m.samples->epoch, 5u);
  EXPECT_FALSE(m.samples->closed);
  EXPECT_EQ(m.samples->distinct, 3);
  EXPECT_EQ(m.ranks[0].samples->drawn, 2u);

  // Rank 0 is ahead: the shown epoch is still the one of rank 1.
  m = MeasureFrame(accounts,
                   MakeFrame(1, {Drawn(0, 1, 6, {1, 4}), Drawn(1, 1, 5, {2})}));
  EXPECT_EQ(m.samples->epoch, 5u);
  EXPECT_FALSE(m.samples->closed);
  EXPECT_EQ(m.samples->distinct, 3);
  EXPECT_DOUBLE_EQ(m.samples->shared_share, 1.0 / 3);

  m = MeasureFrame(accounts,
                   MakeFrame(2, {Drawn(0, 2, 6, {5}), Drawn(1, 2, 6, {6})}));
  EXPECT_EQ(m.samples->epoch, 5u);
  EXPECT_TRUE(m.samples->closed);
  EXPECT_DOUBLE_EQ(m.samples->shared_share, 1.0 / 3);

  // What comes for the closed epoch is not counted any more.
  m = MeasureFrame(accounts,
                   MakeFrame(3, {Drawn(0, 3, 5, {7}), Drawn(1, 3, 6, {8})}));
  EXPECT_EQ(m.samples->epoch, 6u);
  EXPECT_EQ(m.samples->distinct, 5);  // 1, 4, 5, 6, 8
}

TEST(SampleAccountsTest, ReportWithoutSamplesKeepsItsEpochOpen) {
  SampleAccounts accounts;
  MeasureFrame(accounts,
               MakeFrame(0, {Drawn(0, 0, 0, {1}), Drawn(1, 0, 0, {2})}));
  Measures m = MeasureFrame(
      accounts, MakeFrame(1, {Drawn(0, 1, 1, {1}), Drawn(1, 1, 0, {})}));
  EXPECT_EQ(m.samples->epoch, 0u);
  EXPECT_FALSE(m.samples->closed);
}

TEST(SampleAccountsTest, SecondLaterEpochClosesTheFirst) {
  SampleAccounts accounts;
  Measures m;
  for (uint64_t epoch = 0; epoch < 5; ++epoch) {
    // Rank 1 stays behind for ever.
    m = MeasureFrame(accounts,
                     MakeFrame(epoch, {Drawn(0, epoch, epoch, {epoch}),
                                       Drawn(1, epoch, 0, {100 + epoch})}));
  }
  // Epochs 3 and 4 are open.
  EXPECT_EQ(m.samples->epoch, 3u);
  EXPECT_EQ(m.samples->distinct, 1);
}

TEST(SampleAccountsTest, NewAttemptStartsAgain) {
  SampleAccounts accounts;
  MeasureFrame(accounts,
               MakeFrame(0, {Drawn(0, 0, 0, {1}), Drawn(1, 0, 0, {2})}));
  const Measures m = MeasureFrame(
      accounts, MakeFrame(0, {Drawn(0, 0, 0, {1}), Drawn(1, 0, 0, {1})}, 2, 2));
  EXPECT_EQ(m.samples->distinct, 1);
  EXPECT_EQ(m.samples->repeat_share, 0);
  EXPECT_EQ(m.samples->shared_share, 1);
}

TEST(SampleAccountsTest, ReadsFacts) {
  SampleAccounts accounts;
  Measures m = MeasureFrame(
      accounts, MakeFrame(0, {Drawn(0, 0, 0, {1, 2},
                                    {{"dataset_length", {"8", false}},
                                     {"sampling", {"with replacement", false}},
                                     {"sampler_shuffle", {"True", false}}})}));
  EXPECT_DOUBLE_EQ(*m.samples->undrawn_share, 0.75);
  EXPECT_TRUE(m.samples->with_replacement);
  EXPECT_TRUE(m.samples->shuffled);
  // Batches are no part of a data set of samples.
  frames::Report batch =
      Drawn(0, 1, 0, {9}, {{"dataset_length", {"8", false}}});
  batch.sample_ids_are_batches = true;
  m = MeasureFrame(accounts, MakeFrame(1, {batch}));
  EXPECT_TRUE(m.samples->batches);
  EXPECT_FALSE(m.samples->undrawn_share);
  EXPECT_FALSE(m.samples->with_replacement);
  EXPECT_FALSE(m.samples->shuffled);
}

TEST(SampleAccountsTest, LimitOfOneRankHoldsForAll) {
  SampleAccounts accounts;
  frames::Report thinned = Drawn(0, 0, 0, {});
  thinned.sample_limit = uint64_t{1} << 63;
  Ids all(1000);
  for (uint64_t i = 0; i < 1000; ++i) all[i] = i;
  const Measures m =
      MeasureFrame(accounts, MakeFrame(0, {thinned, Drawn(1, 0, 0, all)}));
  EXPECT_EQ(m.samples->distinct, 2.0 * m.samples->kept);
  EXPECT_NEAR(m.samples->distinct, 1000, 4 * m.samples->distinct_error);
}

}  // namespace
}  // namespace muster::consistency
