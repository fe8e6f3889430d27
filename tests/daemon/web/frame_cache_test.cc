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
  uint64_t stride_ = 1;
  FrameCache::Read read_ = [this] {
    ++reads_;
    CurrentFrames current;
    current.frames.resize(1);
    current.stride = stride_;
    current.frames[0].ranks.resize(ranks_);
    return absl::StatusOr<CurrentFrames>(std::move(current));
  };
};

TEST_F(FrameCacheTest, TheSameIsReadOnce) {
  const runs::RunSnapshot run = HandBuiltRun("r");
  EXPECT_EQ(Reads(run, 1), 1);
  EXPECT_EQ(Reads(run, 1), 1);
  EXPECT_EQ(Reads(run), 2);
  EXPECT_EQ(Reads(run), 2);
  EXPECT_EQ(Reads(HandBuiltRun("other")), 3);
}

TEST_F(FrameCacheTest, PartsOfAllStepsAreNotReadAgain) {
  const runs::RunSnapshot run = HandBuiltRun("r");
  EXPECT_EQ(Reads(run), 1);
  EXPECT_EQ(Reads(run, 1), 1);
  EXPECT_EQ(Reads(run, std::nullopt, 7), 1);
  // Of what was only sampled, a part has more to give.
  now_ += absl::Seconds(6);
  stride_ = 2;
  EXPECT_EQ(Reads(run), 2);
  EXPECT_EQ(Reads(run, 1), 3);
}

TEST_F(FrameCacheTest, ANewerFrameEndsWhatIsKeptOfAPart) {
  runs::RunSnapshot run = HandBuiltRun("r");
  EXPECT_EQ(Reads(run, 1), 1);
  run.newest = std::make_shared<consistency::Measures>(*run.newest);
  EXPECT_EQ(Reads(run, 1), 2);
  EXPECT_EQ(Reads(run, 1), 2);
  // From where it is read has changed.
  run.history_run = 7;
  EXPECT_EQ(Reads(run, 1), 3);
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

// A run of steps 411 and 412, also in the history, that goes on.
class FrameCacheOfSeriesTest : public ::testing::Test {
 protected:
  FrameCacheOfSeriesTest() {
    run_.history_run = 7;
    for (const auto& entry :
         run_.store->Range(std::nullopt, std::nullopt, SIZE_MAX)) {
      store_->Append(entry);
    }
    run_.store = store_;
  }

  Source SourceOfRun() {
    Source source = SourceFrom({run_});
    source.stored_frames = [this](const history::FrameQuery&) {
      ++reads_;
      return absl::StatusOr<history::FrameRange>(history::FrameRange());
    };
    source.frame_cache = cache_;
    return source;
  }

  void Judge(uint32_t attempt, uint64_t step, uint32_t ranks) {
    auto measures = std::make_shared<consistency::Measures>(
        muster::testing::MeasuresOf(step, ranks, 3));
    measures->attempt = attempt;
    run_.newest = measures;
    store_->Append({.measures = measures, .frame = nullptr});
  }

  std::vector<uint64_t> Steps(std::optional<uint64_t> from = std::nullopt) {
    v1::GetSeriesRequest request;
    request.set_run("r");
    if (from) request.set_from(*from);
    const auto series = GetSeries(SourceOfRun(), request);
    EXPECT_TRUE(series.ok()) << series.status();
    EXPECT_EQ(series->frames(),
              static_cast<uint64_t>(series->first_step_size()));
    EXPECT_EQ(series->newest_step(), run_.newest->step);
    return {series->first_step().begin(), series->first_step().end()};
  }

  using S = std::vector<uint64_t>;
  const std::shared_ptr<FrameCache> cache_ =
      std::make_shared<FrameCache>(FrameCache::Options());
  std::shared_ptr<runs::FrameStore> store_ =
      std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  runs::RunSnapshot run_ = HandBuiltRun("r");
  int reads_ = 0;
};

TEST_F(FrameCacheOfSeriesTest, SeriesAndHeatmapShareWhatIsRead) {
  v1::GetHeatmapRequest heatmap;
  heatmap.set_run("r");
  EXPECT_EQ(Steps(), (S{411, 412}));
  ASSERT_TRUE(GetHeatmap(SourceOfRun(), heatmap).ok());
  EXPECT_EQ(Steps(412), (S{412}));
  EXPECT_EQ(reads_, 1);
}

TEST_F(FrameCacheOfSeriesTest, NewerFramesAreAddedFromMemory) {
  EXPECT_EQ(Steps(), (S{411, 412}));
  Judge(1, 413, 3);
  EXPECT_EQ(Steps(), (S{411, 412, 413}));
  Judge(1, 414, 2);
  Judge(1, 415, 3);
  EXPECT_EQ(Steps(414), (S{414, 415}));
  // The run goes back to a checkpoint.
  Judge(2, 413, 3);
  EXPECT_EQ(Steps(), (S{411, 412, 413}));
  EXPECT_EQ(reads_, 1);
}

TEST_F(FrameCacheOfSeriesTest, WhatMemoryDoesNotHaveIsReadAgain) {
  EXPECT_EQ(Steps(), (S{411, 412}));
  // Without the values of its ranks.
  Judge(1, 413, 0);
  EXPECT_EQ(Steps(), (S{411, 412, 413}));
  EXPECT_EQ(reads_, 2);
  // What was the newest is there no more.
  store_ = std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  run_.store = store_;
  Judge(1, 500, 3);
  EXPECT_EQ(Steps(), (S{500}));
  EXPECT_EQ(reads_, 3);
}

}  // namespace
}  // namespace muster::web
