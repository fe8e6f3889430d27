#include "daemon/runs/frame_store.h"

#include <memory>
#include <utility>

#include "gtest/gtest.h"
#include "tests/testing/frame_builder.h"

namespace muster::runs {
namespace {

FrameStore::Entry MakeEntry(uint64_t step, size_t sketch_bytes = 0) {
  auto measures = std::make_shared<consistency::Measures>();
  measures->step = step;
  measures->ranks.resize(2);
  frames::Frame frame =
      testing::MakeFrame(step, {testing::MakeReport(0, step)});
  frame.reports[0].sketch.assign(sketch_bytes, 'x');
  return {std::move(measures),
          std::make_shared<const frames::Frame>(std::move(frame)), false};
}

std::vector<uint64_t> Steps(const std::vector<FrameStore::Entry>& entries) {
  std::vector<uint64_t> steps;
  for (const auto& entry : entries) steps.push_back(entry.measures->step);
  return steps;
}

using Expected = std::vector<uint64_t>;

TEST(FrameStoreTest, RangeGivesTheNewestWithinBoundsOldestFirst) {
  FrameStore store({});
  for (uint64_t step = 10; step < 20; ++step) store.Append(MakeEntry(step));
  EXPECT_EQ(Steps(store.Range({}, {}, 3)), (Expected{17, 18, 19}));
  EXPECT_EQ(Steps(store.Range(12, 14, 100)), (Expected{12, 13, 14}));
  EXPECT_EQ(Steps(store.Range(12, 17, 2)), (Expected{16, 17}));
  EXPECT_EQ(Steps(store.Range(25, {}, 2)), Expected{});
}

TEST(FrameStoreTest, KeepsSoManyFrames) {
  FrameStore store({.max_frames = 4});
  for (uint64_t step = 0; step < 10; ++step) store.Append(MakeEntry(step, 8));
  EXPECT_EQ(Steps(store.Range({}, {}, 100)), (Expected{6, 7, 8, 9}));
  EXPECT_FALSE(store.Whole(5));
  EXPECT_TRUE(store.Whole(6));
}

TEST(FrameStoreTest, ForgetsWholeFramesBeforeNumbers) {
  FrameStore store({.sketch_bytes = 10'000});
  for (uint64_t step = 0; step < 10; ++step) {
    store.Append(MakeEntry(step, 3'000));
  }
  EXPECT_EQ(store.Range({}, {}, 100).size(), 10u);
  EXPECT_FALSE(store.Whole(0));
  ASSERT_TRUE(store.Whole(9));
  EXPECT_EQ(store.Whole({})->measures->step, 9u);
  int whole = 0;
  for (const auto& entry : store.Range({}, {}, 100)) {
    whole += entry.frame != nullptr;
  }
  EXPECT_GE(whole, 2);
  EXPECT_LE(whole, 3);
}

TEST(FrameStoreTest, KeepsNoFrameWithoutSketches) {
  FrameStore store({});
  store.Append(MakeEntry(1, 8));
  store.Append(MakeEntry(2));
  ASSERT_TRUE(store.Whole({}));
  EXPECT_EQ(store.Whole({})->measures->step, 1u);
  EXPECT_FALSE(store.Whole(2));
}

// Ranks that each entry has, oldest first.
std::vector<size_t> Ranks(const FrameStore& store) {
  std::vector<size_t> ranks;
  for (const auto& entry : store.Range({}, {}, 100)) {
    ranks.push_back(entry.measures->ranks.size());
  }
  return ranks;
}

TEST(FrameStoreTest, ForgetsValuesOfRanksBeforeNumbersOfTheFrame) {
  // Three frames of two ranks fit, four do not.
  FrameStore store(
      {.max_frames = 5, .rank_bytes = 7 * sizeof(consistency::RankMeasures)});
  for (uint64_t step = 0; step < 4; ++step) store.Append(MakeEntry(step));
  EXPECT_EQ(Steps(store.Range({}, {}, 100)), (Expected{0, 1, 2, 3}));
  EXPECT_EQ(Ranks(store), (std::vector<size_t>{0, 2, 2, 2}));
  // The count of bytes stays right when entries leave too.
  for (uint64_t step = 4; step < 20; ++step) store.Append(MakeEntry(step));
  EXPECT_EQ(Steps(store.Range({}, {}, 100)), (Expected{15, 16, 17, 18, 19}));
  EXPECT_EQ(Ranks(store), (std::vector<size_t>{0, 0, 2, 2, 2}));
}

TEST(FrameStoreTest, LeavesTheOtherNumbersOfAFrameAsTheyWere) {
  FrameStore store({.rank_bytes = 1});
  FrameStore::Entry first = MakeEntry(7);
  auto measures = std::make_shared<consistency::Measures>(*first.measures);
  measures->ranks_reporting = 2;
  measures->loss_mean = 1.5;
  store.Append({measures, nullptr, true});
  store.Append(MakeEntry(8));
  const auto entries = store.Range({}, {}, 100);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_TRUE(entries[0].measures->ranks.empty());
  EXPECT_EQ(entries[0].measures->ranks_reporting, 2u);
  EXPECT_EQ(entries[0].measures->loss_mean, 1.5);
  EXPECT_TRUE(entries[0].superseded);
  // Who had it before keeps it whole.
  EXPECT_EQ(measures->ranks.size(), 2u);
}

TEST(FrameStoreTest, TheNewestIsKeptHoweverLarge) {
  FrameStore store({.max_frames = 0, .rank_bytes = 1, .sketch_bytes = 1});
  for (uint64_t step = 0; step < 5; ++step) store.Append(MakeEntry(step, 8));
  EXPECT_EQ(Steps(store.Range({}, {}, 100)), Expected{4});
  EXPECT_EQ(Ranks(store), (std::vector<size_t>{2}));
  EXPECT_TRUE(store.Whole(4));
}

}  // namespace
}  // namespace muster::runs
