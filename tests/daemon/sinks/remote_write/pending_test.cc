#include "daemon/sinks/remote_write/pending.h"

#include <fstream>

#include "daemon/sinks/remote_write/marks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/temporary_folder.h"

namespace muster::sinks::remote_write {
namespace {

using ::testing::ElementsAre;

Step StepOf(int64_t history_run, uint64_t position) {
  consistency::Measures measures;
  return MakeStep({history_run, position}, absl::FromUnixMillis(1000),
                  &measures, 0);
}

std::vector<uint64_t> PositionsOf(const std::vector<Step>& steps) {
  std::vector<uint64_t> positions;
  for (const Step& step : steps) positions.push_back(step.place.position);
  return positions;
}

TEST(PendingTest, GivesStepsInOrderUpToTheBatch) {
  Pending pending;
  for (const uint64_t position : {1, 3, 2, 4}) {
    EXPECT_TRUE(pending.Push(StepOf(1, position)));
  }
  // Four samples each.
  EXPECT_THAT(PositionsOf(pending.Take(13)), ElementsAre(1, 2, 3));
  EXPECT_FALSE(pending.Push(StepOf(1, 3)));
  EXPECT_THAT(PositionsOf(pending.Take(1)), ElementsAre(4));
  EXPECT_TRUE(pending.empty());
  EXPECT_EQ(pending.queue_bytes(), 0);
}

TEST(PendingTest, ALaterRunOfTheNameComesAfter) {
  Pending pending;
  pending.Push(StepOf(1, 9));
  pending.Push(StepOf(2, 1));
  EXPECT_THAT(PositionsOf(pending.Take(100)), ElementsAre(9, 1));
}

TEST(PendingTest, WithoutAHistoryTheOldestAreLost) {
  Pending pending;
  for (uint64_t i = 1; i <= 5; ++i) pending.Push(StepOf(0, i));
  EXPECT_EQ(pending.Shrink(), 3 * 4);
  EXPECT_THAT(PositionsOf(pending.Take(100)), ElementsAre(4, 5));
}

TEST(PendingTest, WithAHistoryTheyAreReadThere) {
  Pending pending;
  for (uint64_t i = 4; i <= 9; ++i) pending.Push(StepOf(1, i));
  EXPECT_EQ(pending.Shrink(), 0);
  EXPECT_EQ(pending.queue_bytes(), 0);
  ASSERT_TRUE(pending.backlog().has_value());
  EXPECT_EQ(*pending.backlog(), (Range{1, 4, 10}));
  // What came late is there too.
  EXPECT_TRUE(pending.Push(StepOf(1, 8)));
  EXPECT_EQ(pending.queue_bytes(), 0);
  pending.Push(StepOf(1, 10));
  pending.Push(StepOf(2, 1));
  EXPECT_EQ(pending.Shrink(), 0);
  EXPECT_EQ(*pending.backlog(), (Range{1, 4, 11}));
  pending.SetBacklog({1, 11, 11});
  EXPECT_EQ(*pending.backlog(), (Range{2, 1, 2}));
  pending.SetBacklog({2, 2, 2});
  EXPECT_FALSE(pending.Push(StepOf(2, 1)));
  EXPECT_TRUE(pending.empty());
}

// Its end as it was when the reading began.
TEST(PendingTest, ABacklogThatGrewIsReadToItsNewEnd) {
  Pending pending;
  pending.Push(StepOf(1, 4));
  pending.Shrink();
  Range range = *pending.backlog();
  pending.Push(StepOf(1, 5));
  pending.Shrink();
  range.from = range.to;
  pending.SetBacklog(range);
  EXPECT_EQ(*pending.backlog(), (Range{1, 5, 6}));
}

TEST(MarksTest, AreReadBack) {
  const TemporaryFolder folder;
  const std::string path = folder.File("marks");
  EXPECT_TRUE(absl::IsNotFound(ReadMarks(path).status()));
  const Marks marks = {
      .since_ms = 17,
      .runs = {{"a b\nc\"", {{3, 5}, 1700000000123}}, {"ü", {{1, 2}, 9}}}};
  ASSERT_TRUE(WriteMarks(path, marks).ok());
  EXPECT_EQ(ReadMarks(path).value(), marks);
  ASSERT_TRUE(WriteMarks(path, {.since_ms = 18, .runs = {}}).ok());
  EXPECT_EQ(ReadMarks(path).value().since_ms, 18);
}

TEST(MarksTest, AHalfFileIsDamaged) {
  const TemporaryFolder folder;
  const std::string path = folder.File("marks");
  for (const char* text :
       {"", "muster remote write marks 1\n17\n1 2 3 r\n",
        "muster remote write marks 1\n17\n1 2 r\nend\n", "else\n1\nend\n"}) {
    std::ofstream(path) << text;
    EXPECT_TRUE(absl::IsDataLoss(ReadMarks(path).status())) << text;
  }
}

TEST(MarksTest, AFolderThatCannotBeWrittenIsNamed) {
  EXPECT_THAT(WriteMarks("/nowhere/marks", {}).ToString(),
              ::testing::HasSubstr("/nowhere/marks"));
}

}  // namespace
}  // namespace muster::sinks::remote_write
