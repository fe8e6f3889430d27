#include "daemon/web/series.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/web/hand_built_source.h"

namespace muster::web {
namespace {

using muster::testing::HandBuiltRun;
using muster::testing::MeasuresOf;
using muster::testing::SourceFrom;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsNan;

v1::GetSeriesRequest SeriesOf(uint32_t points) {
  v1::GetSeriesRequest request;
  request.set_run("r");
  request.set_points(points);
  return request;
}

const v1::Column& ColumnOf(const v1::Series& series, const std::string& name,
                           int rank = -1) {
  for (const v1::Column& column : series.columns()) {
    const int of = column.has_rank() ? static_cast<int>(column.rank()) : -1;
    if (column.name() == name && of == rank) return column;
  }
  ADD_FAILURE() << "no column " << name << " of rank " << rank;
  static const v1::Column none;
  return none;
}

// A frame of two ranks, with or without their values.
runs::FrameStore::Entry EntryOf(uint32_t attempt, uint64_t step,
                                bool with_ranks = true) {
  auto measures =
      std::make_shared<consistency::Measures>(MeasuresOf(step, 2, 2));
  measures->attempt = attempt;
  measures->loss_mean = static_cast<double>(step);
  if (!with_ranks) measures->ranks.clear();
  return {std::move(measures), nullptr, false};
}

history::FrameNumbers StoredFrame(uint32_t attempt, uint64_t step) {
  history::FrameNumbers frame =
      history::NumbersOf(*EntryOf(attempt, step).measures);
  frame.values[0] = 1000 + static_cast<double>(step);  // tells it apart
  return frame;
}

TEST(SeriesTest, TellsFrameBandAndRanksOfWhatIsInMemory) {
  // Steps 411 with ranks 0 and 1, and 412 with all three.
  v1::GetSeriesRequest request = SeriesOf(0);
  request.add_ranks(2);
  const auto series = GetSeries(SourceFrom({HandBuiltRun("r")}), request);
  ASSERT_TRUE(series.ok()) << series.status();
  EXPECT_EQ(series->run(), "r");
  EXPECT_EQ(series->world_size(), 3u);
  EXPECT_EQ(series->oldest_step(), 411u);
  EXPECT_EQ(series->newest_step(), 412u);
  EXPECT_EQ(series->frames(), 2u);
  EXPECT_EQ(series->stride(), 1u);
  EXPECT_THAT(series->first_step(), ElementsAre(411, 412));
  EXPECT_THAT(series->last_step(), ElementsAre(411, 412));
  EXPECT_THAT(ColumnOf(*series, "loss_mean").mean(), ElementsAre(2.25, 2.25));
  EXPECT_THAT(ColumnOf(*series, "loss_stddev").max(),
              ElementsAre(0.125, 0.125));
  EXPECT_THAT(ColumnOf(*series, "gradient_norm_mean").min(), ElementsAre(2, 2));
  EXPECT_THAT(ColumnOf(*series, "gradient_norm_stddev").min(),
              ElementsAre(0.75, 0.75));
  EXPECT_THAT(ColumnOf(*series, "gradient_cosine_mean").min(),
              ElementsAre(0.625, 0.625));
  EXPECT_THAT(ColumnOf(*series, "gradient_cosine_min").min(),
              ElementsAre(0.5, 0.5));
  EXPECT_THAT(ColumnOf(*series, "gradient_cosine_expected").min(),
              ElementsAre(0.5625, 0.5625));
  EXPECT_THAT(ColumnOf(*series, "ranks_reporting").min(), ElementsAre(2, 3));
  EXPECT_THAT(ColumnOf(*series, "rank_loss").max(), ElementsAre(2.25, 2.5));
  EXPECT_THAT(ColumnOf(*series, "rank_gradient_norm").mean(),
              ElementsAre(1.5, 2));
  EXPECT_THAT(ColumnOf(*series, "rank_gradient_cosine").min(),
              ElementsAre(0.5, 0.5));
  EXPECT_THAT(ColumnOf(*series, "rank_loss", 2).mean(),
              ElementsAre(IsNan(), 2.5));
  EXPECT_EQ(series->columns_size(), 14);

  const auto one = GetSeries(SourceFrom({HandBuiltRun("r")}), SeriesOf(1));
  ASSERT_TRUE(one.ok());
  EXPECT_THAT(one->first_step(), ElementsAre(411));
  EXPECT_THAT(one->last_step(), ElementsAre(412));
  EXPECT_THAT(ColumnOf(*one, "ranks_reporting").mean(), ElementsAre(2.5));
}

TEST(SeriesTest, RangeIsOfStepsAndRunsEndsStayKnown) {
  v1::GetSeriesRequest request = SeriesOf(10);
  request.set_from(412);
  request.set_to(500);
  const auto series = GetSeries(SourceFrom({HandBuiltRun("r")}), request);
  ASSERT_TRUE(series.ok());
  EXPECT_THAT(series->first_step(), ElementsAre(412));
  EXPECT_EQ(series->oldest_step(), 411u);
  EXPECT_EQ(series->newest_step(), 412u);
  EXPECT_EQ(series->frames(), 1u);
  request.set_from(413);
  const auto empty = GetSeries(SourceFrom({HandBuiltRun("r")}), request);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->first_step_size(), 0);
  EXPECT_EQ(empty->newest_step(), 412u);
}

TEST(SeriesTest, WhatIsNotInMemoryWithItsRanksComesFromTheHistory) {
  runs::RunSnapshot run = HandBuiltRun("r");
  run.history_run = 7;
  auto store = std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  // Ranks of step 12 are out of memory; step 13 is where memory is whole.
  store->Append(EntryOf(2, 12, false));
  store->Append(EntryOf(2, 13));
  store->Append(EntryOf(2, 14));
  run.store = store;
  Source source = SourceFrom({run});
  history::FrameQuery asked;
  source.stored_frames = [&](const history::FrameQuery& query)
      -> absl::StatusOr<history::FrameRange> {
    asked = query;
    history::FrameRange range;
    range.oldest_step = 10;
    range.count = 3;
    for (const uint64_t step : {10, 11, 12}) {
      range.frames.push_back(StoredFrame(step < 12 ? 1 : 2, step));
    }
    return range;
  };
  const auto series = GetSeries(source, SeriesOf(0));
  ASSERT_TRUE(series.ok());
  EXPECT_EQ(asked.run, 7);
  ASSERT_TRUE(asked.before);
  EXPECT_EQ(asked.before->first, 2u);
  EXPECT_EQ(asked.before->second, 13u);
  EXPECT_THAT(series->first_step(), ElementsAre(10, 11, 12, 13, 14));
  EXPECT_THAT(ColumnOf(*series, "loss_mean").mean(),
              ElementsAre(1010, 1011, 1012, 13, 14));
  EXPECT_THAT(ColumnOf(*series, "rank_loss").max(),
              ElementsAre(2.25, 2.25, 2.25, 2.25, 2.25));
  EXPECT_EQ(series->oldest_step(), 10u);
  EXPECT_EQ(series->frames(), 5u);

  // What is not stored yet is shown without its ranks.
  source.stored_frames = [](const history::FrameQuery&) {
    return absl::StatusOr<history::FrameRange>(history::FrameRange());
  };
  const auto unstored = GetSeries(source, SeriesOf(0));
  ASSERT_TRUE(unstored.ok());
  EXPECT_THAT(ColumnOf(*unstored, "loss_mean").mean(), ElementsAre(12, 13, 14));
  EXPECT_THAT(ColumnOf(*unstored, "rank_loss").max(),
              ElementsAre(IsNan(), 2.25, 2.25));

  // Of a sample, the history knows how many frames there are.
  source.stored_frames =
      [](const history::FrameQuery&) -> absl::StatusOr<history::FrameRange> {
    history::FrameRange range;
    range.count = 1000;
    range.stride = 500;
    range.oldest_step = 0;
    range.frames = {StoredFrame(1, 1), StoredFrame(2, 12)};
    return range;
  };
  const auto sampled = GetSeries(source, SeriesOf(0));
  ASSERT_TRUE(sampled.ok());
  EXPECT_EQ(sampled->frames(), 1002u);
  EXPECT_EQ(sampled->stride(), 500u);

  source.stored_frames = [](const history::FrameQuery&) {
    return absl::StatusOr<history::FrameRange>(
        absl::UnavailableError("h.db: locked"));
  };
  EXPECT_TRUE(absl::IsUnavailable(GetSeries(source, SeriesOf(0)).status()));
}

TEST(SeriesTest, NewestAttemptWinsWhereStepsRepeat) {
  runs::RunSnapshot run = HandBuiltRun("r");
  auto store = std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  for (const uint64_t step : {5, 6, 7, 8}) store->Append(EntryOf(1, step));
  store->Append(EntryOf(2, 6));
  run.store = store;
  const Source source = SourceFrom({run});
  const auto series = GetSeries(source, SeriesOf(0));
  ASSERT_TRUE(series.ok());
  EXPECT_THAT(series->first_step(), ElementsAre(5, 6));
  EXPECT_EQ(series->newest_step(), 6u);
  // Also where the steps that tell so are out of the range.
  v1::GetSeriesRequest request = SeriesOf(0);
  request.set_from(7);
  const auto beyond = GetSeries(source, request);
  ASSERT_TRUE(beyond.ok());
  EXPECT_EQ(beyond->first_step_size(), 0);
}

TEST(SeriesTest, HeatmapShowsWhoIsOff) {
  runs::RunSnapshot run = HandBuiltRun("r");
  auto store = std::make_shared<runs::FrameStore>(runs::FrameStore::Options());
  for (const uint64_t step : {1, 2}) {
    auto measures =
        std::make_shared<consistency::Measures>(MeasuresOf(step, 100, 100));
    measures->ranks[77].gradient_cosine = -0.5;
    store->Append({std::move(measures), nullptr, false});
  }
  run.store = store;
  v1::GetHeatmapRequest request;
  request.set_run("r");
  request.set_metric("gradient_cosine");
  request.set_columns(1);
  const auto heatmap = GetHeatmap(SourceFrom({run}), request);
  ASSERT_TRUE(heatmap.ok()) << heatmap.status();
  EXPECT_EQ(heatmap->metric(), "gradient_cosine");
  EXPECT_THAT(heatmap->first_step(), ElementsAre(1));
  EXPECT_THAT(heatmap->last_step(), ElementsAre(2));
  ASSERT_EQ(heatmap->ranks_size(), 64);
  ASSERT_EQ(heatmap->values_size(), 64);
  EXPECT_TRUE(std::is_sorted(heatmap->ranks().begin(), heatmap->ranks().end()));
  const auto row =
      std::find(heatmap->ranks().begin(), heatmap->ranks().end(), 77u);
  ASSERT_NE(row, heatmap->ranks().end());
  EXPECT_LT(heatmap->values(static_cast<int>(row - heatmap->ranks().begin())),
            0);
  request.clear_metric();
  EXPECT_EQ(GetHeatmap(SourceFrom({run}), request)->metric(), "loss");
}

TEST(SeriesTest, BadRequestsAreNamed) {
  const Source source = SourceFrom({HandBuiltRun("r")});
  const auto message = [&](const v1::GetSeriesRequest& request) {
    return std::string(GetSeries(source, request).status().message());
  };
  EXPECT_THAT(message(SeriesOf(4097)), HasSubstr("points is 4097"));
  v1::GetSeriesRequest request = SeriesOf(1);
  for (uint32_t rank = 0; rank < 9; ++rank) request.add_ranks(rank);
  EXPECT_THAT(message(request), HasSubstr("allowed: at most 8"));
  request = SeriesOf(1);
  request.set_from(2);
  request.set_to(1);
  EXPECT_THAT(message(request), HasSubstr("from is 2"));
  request = SeriesOf(1);
  request.set_run("other");
  EXPECT_TRUE(absl::IsNotFound(GetSeries(source, request).status()));
  v1::GetHeatmapRequest heatmap;
  heatmap.set_run("r");
  heatmap.set_metric("weight");
  EXPECT_THAT(std::string(GetHeatmap(source, heatmap).status().message()),
              HasSubstr("allowed: loss, gradient_norm, gradient_cosine"));
  heatmap.set_metric("loss");
  heatmap.set_columns(1025);
  EXPECT_THAT(std::string(GetHeatmap(source, heatmap).status().message()),
              HasSubstr("columns is 1025"));
}

}  // namespace
}  // namespace muster::web
