#include "daemon/web/series.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/web/current_frames.h"
#include "daemon/web/decimate.h"
#include "daemon/web/frame_cache.h"

namespace muster::web {
namespace {

using history::FrameNumber;
using history::RankNumber;

constexpr uint32_t kDefaultPoints = 600;
constexpr uint32_t kMaxPoints = 4096;
constexpr uint32_t kDefaultColumns = 240;
constexpr uint32_t kMaxColumns = 1024;
constexpr int kMaxRanks = 8;
// More rows than these nobody can tell apart.
constexpr size_t kMaxHeatmapRanks = 64;

struct NamedFrameNumber {
  const char* name;
  FrameNumber number;
};
constexpr std::array<NamedFrameNumber, history::kFrameNumberCount>
    kFrameNumbers = {{
        {"loss_mean", FrameNumber::kLossMean},
        {"loss_stddev", FrameNumber::kLossStddev},
        {"gradient_norm_mean", FrameNumber::kGradientNormMean},
        {"gradient_norm_stddev", FrameNumber::kGradientNormStddev},
        {"gradient_cosine_mean", FrameNumber::kCosineMean},
        {"gradient_cosine_min", FrameNumber::kCosineMin},
        {"gradient_cosine_expected", FrameNumber::kCosineExpected},
        {"ranks_reporting", FrameNumber::kRanksReporting},
    }};

struct NamedRankNumber {
  const char* name;
  RankNumber number;
};
constexpr std::array<NamedRankNumber, history::kRankNumberCount> kRankNumbers =
    {{
        {"loss", RankNumber::kLoss},
        {"gradient_norm", RankNumber::kGradientNorm},
        {"gradient_cosine", RankNumber::kCosine},
    }};

absl::Status OutOfRange(const char* name, uint64_t value, uint64_t max) {
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", value, "; allowed: 0 … ", max));
}

struct RunFrames {
  std::shared_ptr<const runs::RunSnapshot> run;
  std::shared_ptr<const CurrentFrames> current;
  Frames frames;       // those of `current` that are asked for
  uint64_t count = 0;  // in the range, read or not
};

RunFrames InRange(std::shared_ptr<const runs::RunSnapshot> run,
                  std::shared_ptr<const CurrentFrames> current,
                  std::optional<uint64_t> from, std::optional<uint64_t> to) {
  const auto& all = current->frames;
  const auto begin = std::partition_point(
      all.begin(), all.end(),
      [from](const auto& frame) { return from && frame.step < *from; });
  const auto end = std::partition_point(
      begin, all.end(),
      [to](const auto& frame) { return !to || frame.step <= *to; });
  const Frames frames(begin, end);
  const bool whole = frames.size() == all.size();
  const uint64_t count = whole ? current->count : frames.size();
  return {std::move(run), std::move(current), frames, count};
}

// What both requests ask for.
template <typename Request>
absl::StatusOr<RunFrames> FramesOf(const Source& source,
                                   const Request& request) {
  std::optional<uint64_t> from;
  if (request.has_from()) from = request.from();
  std::optional<uint64_t> to;
  if (request.has_to()) to = request.to();
  if (from && to && *from > *to) {
    return absl::InvalidArgumentError(
        absl::StrCat("from is ", *from, "; allowed: at most to, ", *to));
  }
  auto run = source.snapshot(request.run());
  if (run == nullptr) {
    return absl::NotFoundError(absl::StrCat("no run '", request.run(), "'"));
  }
  const auto read = [&] { return ReadCurrentFrames(source, *run, from, to); };
  if (source.frame_cache != nullptr) {
    auto kept = source.frame_cache->Get(*run, from, to, read);
    if (!kept.ok()) return kept.status();
    return InRange(std::move(run), *std::move(kept), from, to);
  }
  auto current = read();
  if (!current.ok()) return current.status();
  return InRange(std::move(run),
                 std::make_shared<const CurrentFrames>(*std::move(current)),
                 from, to);
}

template <typename Message>
void AddSteps(Frames frames, const std::vector<Bucket>& buckets,
              Message& message) {
  for (const Bucket& bucket : buckets) {
    message.add_first_step(frames[bucket.begin].step);
    message.add_last_step(frames[bucket.end - 1].step);
  }
}

v1::Column& AddColumn(const std::string& name, const Envelope& envelope,
                      v1::Series& series) {
  v1::Column& column = *series.add_columns();
  column.set_name(name);
  column.mutable_min()->Add(envelope.min.begin(), envelope.min.end());
  column.mutable_max()->Add(envelope.max.begin(), envelope.max.end());
  column.mutable_mean()->Add(envelope.mean.begin(), envelope.mean.end());
  return column;
}

}  // namespace

absl::StatusOr<v1::Series> GetSeries(const Source& source,
                                     const v1::GetSeriesRequest& request) {
  if (request.points() > kMaxPoints) {
    return OutOfRange("points", request.points(), kMaxPoints);
  }
  if (request.ranks_size() > kMaxRanks) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank names ", request.ranks_size(),
                     " ranks; allowed: at most ", kMaxRanks));
  }
  const auto found = FramesOf(source, request);
  if (!found.ok()) return found.status();
  const CurrentFrames& current = *found->current;
  const auto buckets =
      Buckets(found->frames.size(),
              request.points() == 0 ? kDefaultPoints : request.points());
  v1::Series series;
  series.set_run(found->run->run);
  series.set_world_size(found->run->world_size);
  series.set_oldest_step(current.oldest_step);
  series.set_newest_step(current.newest_step);
  series.set_frames(found->count);
  series.set_stride(static_cast<uint32_t>(current.stride));
  AddSteps(found->frames, buckets, series);
  for (const auto& [name, number] : kFrameNumbers) {
    AddColumn(name, EnvelopeOf(found->frames, buckets, number), series);
  }
  for (const auto& [name, number] : kRankNumbers) {
    AddColumn(absl::StrCat("rank_", name),
              BandOf(found->frames, buckets, number), series);
  }
  for (const uint32_t rank : request.ranks()) {
    for (const auto& [name, number] : kRankNumbers) {
      AddColumn(absl::StrCat("rank_", name),
                EnvelopeOfRank(found->frames, buckets, number, rank), series)
          .set_rank(rank);
    }
  }
  return series;
}

absl::StatusOr<v1::Heatmap> GetHeatmap(const Source& source,
                                       const v1::GetHeatmapRequest& request) {
  if (request.columns() > kMaxColumns) {
    return OutOfRange("columns", request.columns(), kMaxColumns);
  }
  const std::string metric =
      request.metric().empty() ? kRankNumbers[0].name : request.metric();
  const auto* const number = std::find_if(
      kRankNumbers.begin(), kRankNumbers.end(),
      [&](const NamedRankNumber& named) { return metric == named.name; });
  if (number == kRankNumbers.end()) {
    return absl::InvalidArgumentError(
        "metric is not known; allowed: loss, gradient_norm, gradient_cosine");
  }
  const auto found = FramesOf(source, request);
  if (!found.ok()) return found.status();
  const CurrentFrames& current = *found->current;
  const auto buckets =
      Buckets(found->frames.size(),
              request.columns() == 0 ? kDefaultColumns : request.columns());
  const Deviations deviations =
      DeviationsOf(found->frames, buckets, number->number, kMaxHeatmapRanks);
  v1::Heatmap heatmap;
  heatmap.set_run(found->run->run);
  heatmap.set_metric(metric);
  heatmap.set_stride(static_cast<uint32_t>(current.stride));
  AddSteps(found->frames, buckets, heatmap);
  heatmap.mutable_ranks()->Add(deviations.ranks.begin(),
                               deviations.ranks.end());
  heatmap.mutable_values()->Add(deviations.values.begin(),
                                deviations.values.end());
  return heatmap;
}

}  // namespace muster::web
