#include "daemon/web/decimate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>

namespace muster::web {
namespace {

using history::FrameNumber;
using history::FrameNumbers;
using history::kAbsent;
using history::RankNumber;
using history::RankNumbers;

// Of the values of one bucket.
class Extremes {
 public:
  void Add(double value) {
    if (std::isnan(value)) return;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
    sum_ += value;
    ++count_;
  }
  void AppendTo(Envelope& envelope) const {
    envelope.min.push_back(count_ == 0 ? kAbsent : min_);
    envelope.max.push_back(count_ == 0 ? kAbsent : max_);
    envelope.mean.push_back(
        count_ == 0
            ? kAbsent
            // Rounding of the sum must not leave the envelope.
            : std::clamp(sum_ / static_cast<double>(count_), min_, max_));
  }

 private:
  double min_ = std::numeric_limits<double>::infinity();
  double max_ = -std::numeric_limits<double>::infinity();
  double sum_ = 0;
  size_t count_ = 0;
};

// Calls add(frame, extremes) for all frames of each bucket.
template <typename Add>
Envelope Envelop(Frames frames, const std::vector<Bucket>& buckets, Add add) {
  Envelope envelope;
  for (const Bucket& bucket : buckets) {
    Extremes extremes;
    for (size_t i = bucket.begin; i < bucket.end; ++i) {
      add(frames[i], extremes);
    }
    extremes.AppendTo(envelope);
  }
  return envelope;
}

double ValueOf(const RankNumbers& rank, RankNumber number) {
  const double value = rank[number];
  if (number != RankNumber::kGradientNorm) return value;
  return value > 0 ? std::log(value) : kAbsent;
}

// Requires: at least one value.
double Median(std::vector<double>& values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return std::midpoint(*std::max_element(values.begin(), middle), *middle);
}

// All ranks that are in a frame, ascending.
std::vector<uint32_t> RanksOf(Frames frames) {
  std::vector<uint32_t> ranks;
  for (const FrameNumbers& frame : frames) {
    const auto same = [](const RankNumbers& a, uint32_t b) {
      return a.rank == b;
    };
    // Most frames have the ranks of the one before.
    if (std::equal(frame.ranks.begin(), frame.ranks.end(), ranks.begin(),
                   ranks.end(), same)) {
      continue;
    }
    std::vector<uint32_t> more;
    for (const RankNumbers& rank : frame.ranks) more.push_back(rank.rank);
    std::vector<uint32_t> both;
    std::set_union(ranks.begin(), ranks.end(), more.begin(), more.end(),
                   std::back_inserter(both));
    ranks.swap(both);
  }
  return ranks;
}

// Signed distances from the median of each frame, one frame's ranks after the
// other's; NaN where there is no value.
std::vector<double> Distances(Frames frames, RankNumber number) {
  size_t count = 0;
  for (const FrameNumbers& frame : frames) count += frame.ranks.size();
  std::vector<double> distances;
  distances.reserve(count);
  std::vector<double> present;
  for (const FrameNumbers& frame : frames) {
    const size_t begin = distances.size();
    present.clear();
    for (const RankNumbers& rank : frame.ranks) {
      const double value = ValueOf(rank, number);
      distances.push_back(value);
      if (!std::isnan(value)) present.push_back(value);
    }
    if (present.empty()) continue;
    const double median = Median(present);
    for (size_t i = begin; i < distances.size(); ++i) distances[i] -= median;
  }
  return distances;
}

// 0 if all are 0.
double RobustScale(const std::vector<double>& distances) {
  constexpr double kOfMedian = 1.4826;
  std::vector<double> magnitudes;
  magnitudes.reserve(distances.size());
  for (const double distance : distances) {
    if (!std::isnan(distance)) magnitudes.push_back(std::abs(distance));
  }
  if (magnitudes.empty()) return 0;
  const double median = Median(magnitudes);
  if (median > 0) return kOfMedian * median;
  const double sum = std::accumulate(magnitudes.begin(), magnitudes.end(), 0.0);
  return std::sqrt(std::numbers::pi / 2) * sum /
         static_cast<double>(magnitudes.size());
}

// Rows of the ranks that deviate most, ascending.
std::vector<size_t> MostDeviant(const Deviations& all, size_t columns,
                                size_t most) {
  std::vector<size_t> rows(all.ranks.size());
  std::iota(rows.begin(), rows.end(), size_t{0});
  if (rows.size() <= most) return rows;
  std::vector<float> largest(rows.size(), 0);
  for (size_t row = 0; row < rows.size(); ++row) {
    for (size_t i = 0; i < columns; ++i) {
      // No value is no deviation: std::max would take NaN as first argument.
      const float magnitude = std::abs(all.values[row * columns + i]);
      if (magnitude > largest[row]) largest[row] = magnitude;
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [&](size_t a, size_t b) { return largest[a] > largest[b]; });
  rows.resize(most);
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace

void KeepCurrent(std::vector<FrameNumbers>& frames) {
  size_t kept = 0;
  for (size_t i = 0; i < frames.size(); ++i) {
    while (kept > 0 && frames[kept - 1].step >= frames[i].step) --kept;
    if (kept != i) frames[kept] = std::move(frames[i]);
    ++kept;
  }
  frames.resize(kept);
}

std::vector<Bucket> Buckets(size_t count, size_t most) {
  const size_t buckets = std::min(count, most);
  std::vector<Bucket> result;
  result.reserve(buckets);
  for (size_t i = 0; i < buckets; ++i) {
    result.push_back({i * count / buckets, (i + 1) * count / buckets});
  }
  return result;
}

Envelope EnvelopeOf(Frames frames, const std::vector<Bucket>& buckets,
                    FrameNumber number) {
  return Envelop(frames, buckets,
                 [number](const FrameNumbers& frame, Extremes& extremes) {
                   extremes.Add(frame.values[static_cast<size_t>(number)]);
                 });
}

Envelope BandOf(Frames frames, const std::vector<Bucket>& buckets,
                RankNumber number) {
  return Envelop(frames, buckets,
                 [number](const FrameNumbers& frame, Extremes& extremes) {
                   for (const RankNumbers& rank : frame.ranks) {
                     extremes.Add(rank[number]);
                   }
                 });
}

Envelope EnvelopeOfRank(Frames frames, const std::vector<Bucket>& buckets,
                        RankNumber number, uint32_t rank) {
  return Envelop(
      frames, buckets, [&](const FrameNumbers& frame, Extremes& extremes) {
        const auto found = std::lower_bound(
            frame.ranks.begin(), frame.ranks.end(), rank,
            [](const RankNumbers& a, uint32_t b) { return a.rank < b; });
        if (found != frame.ranks.end() && found->rank == rank) {
          extremes.Add((*found)[number]);
        }
      });
}

Deviations DeviationsOf(Frames frames, const std::vector<Bucket>& buckets,
                        RankNumber number, size_t most_ranks) {
  const std::vector<double> distances = Distances(frames, number);
  const double scale = RobustScale(distances);
  const size_t columns = buckets.size();
  Deviations all;
  all.ranks = RanksOf(frames);
  all.values.assign(all.ranks.size() * columns, static_cast<float>(kAbsent));
  std::vector<double> largest;  // of each rank in a bucket
  size_t next = 0;              // of the distances
  for (size_t column = 0; column < columns; ++column) {
    largest.assign(all.ranks.size(), kAbsent);
    for (size_t i = buckets[column].begin; i < buckets[column].end; ++i) {
      size_t row = 0;
      for (const RankNumbers& rank : frames[i].ranks) {
        while (all.ranks[row] != rank.rank) ++row;
        const double distance = distances[next++];
        if (std::isnan(distance)) continue;
        double& shown = largest[row];
        if (std::isnan(shown) || std::abs(distance) > std::abs(shown)) {
          shown = distance;
        }
      }
    }
    for (size_t row = 0; row < largest.size(); ++row) {
      if (std::isnan(largest[row])) continue;
      all.values[row * columns + column] =
          scale > 0 ? static_cast<float>(largest[row] / scale) : 0.0F;
    }
  }
  const std::vector<size_t> rows = MostDeviant(all, columns, most_ranks);
  if (rows.size() == all.ranks.size()) return all;
  Deviations most;
  for (const size_t row : rows) {
    most.ranks.push_back(all.ranks[row]);
    const auto begin =
        all.values.begin() + static_cast<std::ptrdiff_t>(row * columns);
    most.values.insert(most.values.end(), begin,
                       begin + static_cast<std::ptrdiff_t>(columns));
  }
  return most;
}

}  // namespace muster::web
