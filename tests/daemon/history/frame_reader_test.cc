#include "daemon/history/frame_reader.h"

#include <algorithm>
#include <cmath>

#include "daemon/history/writer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/history/samples.h"
#include "tests/testing/temporary_folder.h"

namespace muster::history {
namespace {

using ::testing::ElementsAre;

constexpr absl::Time kBegan = absl::FromUnixSeconds(1'700'000'000);

// Writes frames of two attempts: steps 0 … 9, and again from 6 on to 7.
class FrameReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto writer = Writer::Open(
        path_, {}, [] { return kBegan; }, [](bool, const std::string&) {});
    ASSERT_TRUE(writer.ok()) << writer.status();
    writer_ = *std::move(writer);
    run_ = writer_->Begin("r", "", kBegan);
    for (uint64_t step = 0; step < 10; ++step) Write(1, step);
    for (uint64_t step = 6; step < 8; ++step) Write(2, step);
    ASSERT_TRUE(writer_->Flush().ok());
  }
  void Write(uint32_t attempt, uint64_t step) {
    Judged judged = SampleFrame(step);
    auto frame = std::make_shared<frames::Frame>(*judged.frame);
    auto measures = std::make_shared<consistency::Measures>(*judged.measures);
    frame->attempt = measures->attempt = attempt;
    measures->cosine_expected = attempt;  // tells it apart
    Unit unit{.run = run_};
    unit.entries = {
        {++position_, kBegan, Judged{std::move(frame), std::move(measures)}}};
    writer_->Write(std::move(unit));
  }
  FrameRange Read(FrameQuery query) {
    query.run = run_;
    const auto reader = FrameReader::Open(path_);
    EXPECT_TRUE(reader.ok()) << reader.status();
    auto range = (*reader)->Current(query);
    EXPECT_TRUE(range.ok()) << range.status();
    return *std::move(range);
  }
  static std::vector<uint64_t> Steps(const FrameRange& range) {
    std::vector<uint64_t> steps;
    for (const FrameNumbers& frame : range.frames) steps.push_back(frame.step);
    return steps;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("history.db");
  std::unique_ptr<Writer> writer_;
  int64_t run_ = 0;
  uint64_t position_ = 0;
};

TEST_F(FrameReaderTest, NumbersAreThoseOfTheFrameInMemory) {
  const FrameRange range = Read({.from = 3, .to = 3});
  ASSERT_EQ(range.frames.size(), 1u);
  const FrameNumbers& read = range.frames[0];
  Judged judged = SampleFrame(3);
  consistency::Measures measures = *judged.measures;
  measures.cosine_expected = 1;
  const FrameNumbers expected = NumbersOf(measures);
  EXPECT_EQ(read.attempt, 1u);
  for (size_t i = 0; i < kFrameNumberCount; ++i) {
    EXPECT_THAT(read.values[i],
                ::testing::NanSensitiveDoubleEq(expected.values[i]))
        << i;
  }
  ASSERT_EQ(read.ranks.size(), 3u);
  for (size_t i = 0; i < read.ranks.size(); ++i) {
    EXPECT_EQ(read.ranks[i].rank, expected.ranks[i].rank);
    for (size_t j = 0; j < kRankNumberCount; ++j) {
      EXPECT_THAT(read.ranks[i].values[j],
                  ::testing::NanSensitiveDoubleEq(expected.ranks[i].values[j]))
          << i << ", " << j;
    }
  }
  // Some of each kind is there, and the NaN that rank 2 reported is absent.
  EXPECT_EQ(read.ranks[0][RankNumber::kLoss], 1.25 + 3);
  EXPECT_TRUE(std::isnan(read.ranks[1][RankNumber::kLoss]));
  EXPECT_GT(read.ranks[2][RankNumber::kGradientNorm], 0);
}

TEST_F(FrameReaderTest, NewestAttemptWinsWhereStepsRepeat) {
  const FrameRange range = Read({});
  EXPECT_THAT(Steps(range), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(range.frames[5].attempt, 1u);
  EXPECT_EQ(range.frames[6].attempt, 2u);
  EXPECT_EQ(range.count, 8u);
  EXPECT_EQ(range.stride, 1u);
  EXPECT_EQ(range.oldest_step, 0u);
  // Steps 8 and 9 are of the attempt that was given up.
  EXPECT_TRUE(Steps(Read({.from = 8})).empty());
  EXPECT_THAT(Steps(Read({.from = 5, .to = 6})), ElementsAre(5, 6));
  EXPECT_EQ(Read({.from = 5, .to = 6}).oldest_step, 0u);
  // A third attempt from before all that there is.
  Write(3, 0);
  ASSERT_TRUE(writer_->Flush().ok());
  EXPECT_THAT(Steps(Read({})), ElementsAre(0));
}

TEST_F(FrameReaderTest, EndsBeforeWhatIsInMemory) {
  EXPECT_THAT(Steps(Read({.before = {{2, 7}}})),
              ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Steps(Read({.before = {{2, 6}}})), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(Steps(Read({.before = {{1, 2}}})), ElementsAre(0, 1));
  EXPECT_TRUE(Steps(Read({.before = {{1, 0}}})).empty());
}

TEST_F(FrameReaderTest, ReadsAFewOfTooMany) {
  for (uint64_t step = 8; step < 1000; ++step) Write(2, step);
  ASSERT_TRUE(writer_->Flush().ok());
  const FrameRange range = Read({.max_frames = 50});
  EXPECT_EQ(range.count, 1000u);
  EXPECT_EQ(range.stride, 20u);
  EXPECT_GE(range.frames.size(), 45u);
  EXPECT_LE(range.frames.size(), 55u);
  const auto steps = Steps(range);
  EXPECT_EQ(steps.front(), 0u);
  for (size_t i = 1; i < steps.size(); ++i) {
    EXPECT_GT(steps[i], steps[i - 1]);
    EXPECT_LE(steps[i] - steps[i - 1], 40u);
  }
  // Four ranks are expected: three numbers of each.
  EXPECT_EQ(Read({.max_rank_values = 120}).stride, 100u);
  EXPECT_EQ(Read({.max_rank_values = 1}).stride, 1000u);
}

TEST_F(FrameReaderTest, StepsThatAreFarApartAreReadOnce) {
  for (uint64_t step = 1000; step < 100'000; step += 1000) Write(2, step);
  ASSERT_TRUE(writer_->Flush().ok());
  const FrameRange range = Read({.max_frames = 20});
  EXPECT_LE(range.frames.size(), 30u);
  EXPECT_GE(range.frames.size(), 15u);
  const auto steps = Steps(range);
  EXPECT_EQ(std::adjacent_find(steps.begin(), steps.end()), steps.end());
}

TEST_F(FrameReaderTest, OfAnUnknownRunThereIsNothing) {
  run_ = 99;
  const FrameRange range = Read({});
  EXPECT_TRUE(range.frames.empty());
  EXPECT_EQ(range.oldest_step, std::nullopt);
}

TEST(FrameReaderOpenTest, NamesAFileThatIsNotThere) {
  const auto reader = FrameReader::Open("/nowhere/history.db");
  EXPECT_FALSE(reader.ok());
  EXPECT_NE(reader.status().message().find("/nowhere/history.db"),
            std::string::npos);
}

}  // namespace
}  // namespace muster::history
