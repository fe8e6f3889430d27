#include "daemon/web/frame_cache.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "daemon/web/series.h"
#include "gtest/gtest.h"
#include "tests/daemon/web/hand_built_source.h"

namespace muster::web {
namespace {

using muster::testing::HandBuiltRun;
using muster::testing::SourceFrom;

class FrameCacheTest : public ::testing::Test {
 protected:
  // How often the frames had to be read by now.
  int Reads(const runs::RunSnapshot& run,
            std::optional<uint64_t> from = std::nullopt,
            std::optional<uint64_t> to = std::nullopt) {
    const auto frames = cache_.Get(run, from, to, read_);
    EXPECT_TRUE(frames.ok()) << frames.status();
    EXPECT_EQ((*frames)->frames.size(), 1u);
    return reads_;
  }

  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  // Room for two answers of some 160 bytes, not for three.
  FrameCache cache_{{.max_age = absl::Seconds(5),
                     .max_bytes = 400,
                     .now = [this] { return now_; }}};
  int reads_ = 0;
  size_t ranks_ = 0;
  FrameCache::Read read_ = [this] {
    ++reads_;
    CurrentFrames current;
    current.frames.resize(1);
    current.frames[0].ranks.resize(ranks_);
    return absl::StatusOr<CurrentFrames>(std::move(current));
  };
};

TEST_F(FrameCacheTest, TheSameIsReadOnce) {
  const runs::RunSnapshot run = HandBuiltRun("r");
  EXPECT_EQ(Reads(run), 1);
  EXPECT_EQ(Reads(run), 1);
  EXPECT_EQ(Reads(run, 1), 2);
  EXPECT_EQ(Reads(run), 2);
  EXPECT_EQ(Reads(HandBuiltRun("other")), 3);
}

TEST_F(FrameCacheTest, ANewerFrameEndsWhatIsKept) {
  runs::RunSnapshot run = HandBuiltRun("r");
  EXPECT_EQ(Reads(run), 1);
  run.newest = std::make_shared<consistency::Measures>(*run.newest);
  EXPECT_EQ(Reads(run), 2);
  EXPECT_EQ(Reads(run), 2);
  // From where it is read has changed.
  run.history_run = 7;
  EXPECT_EQ(Reads(run), 3);
}

TEST_F(FrameCacheTest, NothingIsKeptForLong) {
  const runs::RunSnapshot run = HandBuiltRun("r");
  EXPECT_EQ(Reads(run), 1);
  now_ += absl::Seconds(5);
  EXPECT_EQ(Reads(run), 1);
  now_ += absl::Seconds(1);
  EXPECT_EQ(Reads(run), 2);
}

TEST_F(FrameCacheTest, MemoryIsBounded) {
  const runs::RunSnapshot run = HandBuiltRun("r");
  EXPECT_EQ(Reads(run, 1), 1);
  EXPECT_EQ(Reads(run, 2), 2);
  EXPECT_EQ(Reads(run, 3), 3);
  EXPECT_EQ(Reads(run, 3), 3);
  EXPECT_EQ(Reads(run, 1), 4);
  // Too large to be kept, and answered all the same.
  ranks_ = 100;
  EXPECT_EQ(Reads(run, 4), 5);
  EXPECT_EQ(Reads(run, 4), 6);
}

TEST_F(FrameCacheTest, AFailureIsNotKept) {
  const runs::RunSnapshot run = HandBuiltRun("r");
  const auto failed = cache_.Get(run, std::nullopt, std::nullopt, [] {
    return absl::StatusOr<CurrentFrames>(absl::UnavailableError("h.db"));
  });
  EXPECT_TRUE(absl::IsUnavailable(failed.status()));
  EXPECT_EQ(Reads(run), 1);
}

TEST_F(FrameCacheTest, ManyWhoAskAtOnceShareOneReading) {
  const runs::RunSnapshot run = HandBuiltRun("r");
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      if (cache_.Get(run, std::nullopt, std::nullopt, read_).ok()) ++answered;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 8);
  EXPECT_EQ(reads_, 1);
}

TEST(FrameCacheOfSeriesTest, SeriesAndHeatmapShareWhatIsRead) {
  runs::RunSnapshot run = HandBuiltRun("r");
  run.history_run = 7;
  Source source = SourceFrom({run});
  int reads = 0;
  source.stored_frames = [&](const history::FrameQuery&) {
    ++reads;
    return absl::StatusOr<history::FrameRange>(history::FrameRange());
  };
  source.frame_cache = std::make_shared<FrameCache>(FrameCache::Options());
  v1::GetSeriesRequest series;
  series.set_run("r");
  v1::GetHeatmapRequest heatmap;
  heatmap.set_run("r");
  ASSERT_TRUE(GetSeries(source, series).ok());
  ASSERT_TRUE(GetHeatmap(source, heatmap).ok());
  series.add_ranks(1);
  const auto again = GetSeries(source, series);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->frames(), 2u);
  EXPECT_EQ(reads, 1);
}

}  // namespace
}  // namespace muster::web
