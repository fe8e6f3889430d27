#include "daemon/sinks/remote_write/backlog.h"

#include "gtest/gtest.h"
#include "tests/daemon/sinks/remote_write/stored_run.h"
#include "tests/testing/temporary_folder.h"

namespace muster::sinks::remote_write {
namespace {

using muster::testing::kRunBegan;
using muster::testing::StoreRun;
using Backlog = std::map<std::string, std::deque<Range>>;

const int64_t kBeganMs = absl::ToUnixMillis(kRunBegan);

class BacklogTest : public ::testing::Test {
 protected:
  std::unique_ptr<history::Reader> Read() {
    auto reader = history::Reader::Open(path_);
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *std::move(reader);
  }
  Backlog Find(const Marks& marks) {
    const auto reader = Read();
    const auto found = FindUndelivered(*reader, marks);
    EXPECT_TRUE(found.ok()) << found.status();
    return *found;
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.File("history.db");
  const std::unique_ptr<history::Writer> writer_ = testing::OpenHistory(path_);
};

TEST_F(BacklogTest, WhatIsAfterTheMarkIsUndelivered) {
  const int64_t run = StoreRun(*writer_, "a", 5, false);
  EXPECT_EQ(Find({.since_ms = kBeganMs + 1,
                  .runs = {{"a", {{run, 4}, kBeganMs + 4000}}}}),
            (Backlog{{"a", {{run, 4, 7}}}}));
}

TEST_F(BacklogTest, ARunWithoutMarkIsSentIfItBeganSince) {
  const int64_t run = StoreRun(*writer_, "a", 5, false);
  EXPECT_EQ(Find({.since_ms = kBeganMs, .runs = {}}),
            (Backlog{{"a", {{run, 1, 7}}}}));
  EXPECT_EQ(Find({.since_ms = kBeganMs + 1, .runs = {}}), Backlog{});
}

TEST_F(BacklogTest, LaterRunsOfTheNameFollow) {
  const int64_t first = StoreRun(*writer_, "a", 5, true);
  const int64_t second =
      StoreRun(*writer_, "a", 3, false, kRunBegan + absl::Minutes(1));
  const int64_t third =
      StoreRun(*writer_, "a", 1, false, kRunBegan + absl::Minutes(2));
  const Backlog found =
      Find({.since_ms = 0, .runs = {{"a", {{second, 2}, kBeganMs + 62'000}}}});
  ASSERT_EQ(found.at("a").size(), 2u);
  EXPECT_EQ(found.at("a")[0].history_run, second);
  EXPECT_EQ(found.at("a")[0].from, 2u);
  EXPECT_EQ(found.at("a")[1], (Range{third, 1, 2}));
  EXPECT_LT(first, second);
}

// A history that began anew gives its numbers again.
TEST_F(BacklogTest, ANumberThatIsGivenAgainIsNotThatOfTheMark) {
  const int64_t run = StoreRun(*writer_, "a", 2, false);
  EXPECT_EQ(
      Find({.since_ms = 0, .runs = {{"a", {{run, 9}, kBeganMs - 60'000}}}}),
      (Backlog{{"a", {{run, 1, 3}}}}));
  EXPECT_EQ(
      Find({.since_ms = 0, .runs = {{"a", {{run + 7, 9}, kBeganMs - 60'000}}}}),
      (Backlog{{"a", {{run, 1, 3}}}}));
}

TEST_F(BacklogTest, MarkingAllLeavesNothingOfWhatThereIs) {
  const int64_t run = StoreRun(*writer_, "a", 5, false);
  const auto reader = Read();
  const auto marks = MarkAll(*reader, kRunBegan + absl::Minutes(1));
  ASSERT_TRUE(marks.ok());
  EXPECT_EQ(marks->runs.at("a").place, (Place{run, 6}));
  // The newest one again, for its series.
  EXPECT_EQ(Find(*marks), (Backlog{{"a", {{run, 6, 7}}}}));
}

TEST_F(BacklogTest, ForgetsTheMarksOfRunsThatAreGone) {
  StoreRun(*writer_, "a", 1, false);
  Marks marks{.runs = {{"a", {}}, {"b", {}}}};
  ASSERT_TRUE(DropForgotten(*Read(), marks).ok());
  EXPECT_EQ(marks.runs.size(), 1u);
  EXPECT_TRUE(marks.runs.contains("a"));
}

TEST_F(BacklogTest, ReadsStepsInPieces) {
  const int64_t run = StoreRun(*writer_, "a", 5, true);
  Range range{run, 2, history::Reader::kEnd};
  std::vector<Step> all;
  int pieces = 0;
  while (range.from < range.to) {
    const auto steps = ReadSteps(path_, range, 1, 0);
    ASSERT_TRUE(steps.ok()) << steps.status();
    all.insert(all.end(), steps->begin(), steps->end());
    ++pieces;
  }
  EXPECT_GE(pieces, 4);
  ASSERT_EQ(all.size(), 5u);
  // As if they came from the judge.
  const Step live = MakeStep({run, 2}, kRunBegan + absl::Seconds(2),
                             history::SampleFrame(2).measures.get(), 0);
  EXPECT_EQ(all[0].place, live.place);
  EXPECT_EQ(all[0].time_ms, live.time_ms);
  for (size_t i = 0; i < kRunMetrics; ++i) {
    const bool absent = std::isnan(live.values[i]);
    EXPECT_EQ(std::isnan(all[0].values[i]), absent) << kRunMetricNames[i];
    if (absent) continue;
    EXPECT_EQ(all[0].values[i], live.values[i]) << kRunMetricNames[i];
  }
  EXPECT_EQ(all[1].place.position, 4u);
  EXPECT_TRUE(all[4].ended);
  EXPECT_FALSE(all[3].ended);
}

TEST_F(BacklogTest, AFileThatIsGoneIsNamed) {
  Range range{1, 1, 9};
  EXPECT_NE(ReadSteps("/nowhere.db", range, 1, 0)
                .status()
                .ToString()
                .find("/nowhere.db"),
            std::string::npos);
}

}  // namespace
}  // namespace muster::sinks::remote_write
