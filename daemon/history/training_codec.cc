#include "daemon/history/training_codec.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/history/bytes.h"

namespace muster::history {
namespace {

using consistency::Measures;
using consistency::RankMeasures;
using consistency::RankSamples;
using consistency::SampleMeasures;
using frames::Report;

// A number is never used for anything else again.
enum Id : uint8_t {
  // Of each report.
  kZeroGradientTensors = 11,
  kEpoch = 12,
  kSampleLimit = 13,
  kBatches = 14,
  kLocalDistance = 15,
  kReplicaGroups = 16,
  kComputeSeconds = 17,
  // Of the frame.
  kReplicaRanks = 46,
  kReplicaMajority = 47,
  kDifferingGroups = 48,
  kReplicaSpread = 49,
  kLocalDistanceMean = 50,
  kConsensusDistance = 51,
  kConsensusError = 52,
  kSampleCounts = 53,
  kSampleShares = 54,
  // Of each rank's measures.
  kRankDiffers = 74,
  kRankReplicaDistance = 75,
  kRankLocalDistance = 76,
  kRankDrawn = 77,
  kRankShared = 78,
  kRankRepeats = 79,
  kRankSameOrder = 80,
};

// A column with a value, or none, for each element.
template <typename Value, typename Element, typename Get>
std::vector<std::optional<Value>> Each(const std::vector<Element>& from,
                                       Get get) {
  std::vector<std::optional<Value>> values;
  values.reserve(from.size());
  for (const Element& element : from) values.push_back(get(element));
  return values;
}

std::optional<uint64_t> IfTrue(bool value) {
  return value ? std::optional<uint64_t>(1) : std::nullopt;
}

std::string EncodeGroups(const std::vector<Report>& reports) {
  bool any = false;
  ByteWriter bytes;
  for (const Report& report : reports) {
    any |= !report.replica_groups.empty();
    bytes.Integer(report.replica_groups.size());
    for (const uint64_t group : report.replica_groups) bytes.Fixed(group);
  }
  return any ? bytes.Take() : "";
}

bool DecodeGroups(std::string_view encoded, std::vector<Report>& reports) {
  if (encoded.empty()) return true;
  ByteReader bytes(encoded);
  for (Report& report : reports) {
    const uint64_t count = bytes.Count();
    for (uint64_t i = 0; i < count && bytes.ok(); ++i) {
      report.replica_groups.push_back(bytes.Fixed());
    }
  }
  return bytes.ok() && bytes.empty();
}

void EncodeSampleMeasures(const SampleMeasures& samples, ColumnWriter& more) {
  more.Integers(kSampleCounts,
                {samples.epoch, uint64_t{samples.closed},
                 uint64_t{samples.batches}, uint64_t{samples.with_replacement},
                 uint64_t{samples.shuffled}, samples.kept});
  more.Doubles(kSampleShares, {samples.distinct, samples.distinct_error,
                               samples.shared_share, samples.shared_error,
                               samples.repeat_share, samples.repeat_error,
                               samples.undrawn_share, samples.undrawn_error});
}

SampleMeasures DecodeSampleMeasures(const ColumnReader& more) {
  const auto whole = [&](size_t i) {
    return more.Integer(kSampleCounts, i).value_or(0);
  };
  const auto share = [&](size_t i) {
    return more.Double(kSampleShares, i).value_or(0);
  };
  SampleMeasures samples;
  samples.epoch = whole(0);
  samples.closed = whole(1) != 0;
  samples.batches = whole(2) != 0;
  samples.with_replacement = whole(3) != 0;
  samples.shuffled = whole(4) != 0;
  samples.kept = whole(5);
  samples.distinct = share(0);
  samples.distinct_error = share(1);
  samples.shared_share = share(2);
  samples.shared_error = share(3);
  samples.repeat_share = share(4);
  samples.repeat_error = share(5);
  samples.undrawn_share = more.Double(kSampleShares, 6);
  samples.undrawn_error = share(7);
  return samples;
}

}  // namespace

void EncodeTraining(const std::vector<Report>& reports, ColumnWriter& more) {
  using R = const Report&;
  const auto whole = [&](uint8_t id, auto get) {
    more.Integers(id, Each<uint64_t>(reports, get));
  };
  whole(kZeroGradientTensors, [](R r) { return r.zero_gradient_tensors; });
  whole(kEpoch, [](R r) { return r.epoch; });
  whole(kSampleLimit, [](R r) { return r.sample_limit; });
  whole(kBatches, [](R r) { return IfTrue(r.sample_ids_are_batches); });
  more.Doubles(kLocalDistance,
               Each<double>(reports, [](R r) { return r.local_distance; }));
  more.Doubles(kComputeSeconds,
               Each<double>(reports, [](R r) { return r.compute_seconds; }));
  more.Bytes(kReplicaGroups, EncodeGroups(reports));
}

bool DecodeTraining(const ColumnReader& more, std::vector<Report>& reports) {
  for (size_t i = 0; i < reports.size(); ++i) {
    Report& report = reports[i];
    if (const auto tensors = more.Integer(kZeroGradientTensors, i)) {
      report.zero_gradient_tensors = static_cast<uint32_t>(*tensors);
    }
    report.epoch = more.Integer(kEpoch, i);
    report.sample_limit = more.Integer(kSampleLimit, i);
    report.sample_ids_are_batches = more.Integer(kBatches, i).has_value();
    report.local_distance = more.Double(kLocalDistance, i);
    report.compute_seconds = more.Double(kComputeSeconds, i);
  }
  return DecodeGroups(more.Bytes(kReplicaGroups), reports);
}

void EncodeTrainingMeasures(const Measures& measures, ColumnWriter& more) {
  more.Integers(kReplicaRanks, {measures.replica_ranks});
  more.Integers(kReplicaMajority, {IfTrue(measures.replica_majority)});
  more.Integers(kDifferingGroups, Each<uint64_t>(measures.replica_groups,
                                                 [](uint32_t g) { return g; }));
  more.Double(kReplicaSpread, measures.replica_spread);
  more.Double(kLocalDistanceMean, measures.local_distance_mean);
  more.Double(kConsensusDistance, measures.consensus_distance);
  more.Double(kConsensusError, measures.consensus_error);
  if (measures.samples) EncodeSampleMeasures(*measures.samples, more);

  using R = const RankMeasures&;
  const auto whole = [&](uint8_t id, auto get) {
    more.Integers(id, Each<uint64_t>(measures.ranks, get));
  };
  const auto real = [&](uint8_t id, auto get) {
    more.Doubles(id, Each<double>(measures.ranks, get));
  };
  // A number of what the rank has drawn, if it records any.
  const auto drawn = []<typename Value>(Value RankSamples::*member) {
    return [member](R r) {
      return r.samples ? std::optional<Value>(*r.samples.*member)
                       : std::nullopt;
    };
  };
  whole(kRankDiffers, [](R r) { return IfTrue(r.replica_differs); });
  real(kRankReplicaDistance, [](R r) { return r.replica_distance; });
  real(kRankLocalDistance, [](R r) { return r.local_distance; });
  whole(kRankDrawn, drawn(&RankSamples::drawn));
  real(kRankShared, drawn(&RankSamples::shared_share));
  real(kRankRepeats, drawn(&RankSamples::repeat_share));
  whole(kRankSameOrder,
        [](R r) { return IfTrue(r.samples && r.samples->same_order); });
}

void DecodeTrainingMeasures(const ColumnReader& more, Measures& measures) {
  measures.replica_ranks =
      static_cast<uint32_t>(more.Integer(kReplicaRanks, 0).value_or(0));
  measures.replica_majority = more.Integer(kReplicaMajority, 0).has_value();
  for (size_t i = 0; i < more.count(kDifferingGroups); ++i) {
    measures.replica_groups.push_back(
        static_cast<uint32_t>(more.Integer(kDifferingGroups, i).value_or(0)));
  }
  measures.replica_spread = more.Double(kReplicaSpread);
  measures.local_distance_mean = more.Double(kLocalDistanceMean);
  measures.consensus_distance = more.Double(kConsensusDistance);
  measures.consensus_error = more.Double(kConsensusError).value_or(0);
  if (more.count(kSampleCounts) > 0) {
    measures.samples = DecodeSampleMeasures(more);
  }
  for (size_t i = 0; i < measures.ranks.size(); ++i) {
    RankMeasures& rank = measures.ranks[i];
    rank.replica_differs = more.Integer(kRankDiffers, i).has_value();
    rank.replica_distance = more.Double(kRankReplicaDistance, i);
    rank.local_distance = more.Double(kRankLocalDistance, i);
    if (const auto drawn = more.Integer(kRankDrawn, i)) {
      rank.samples = {*drawn, more.Double(kRankShared, i).value_or(0),
                      more.Double(kRankRepeats, i).value_or(0),
                      more.Integer(kRankSameOrder, i).has_value()};
    }
  }
}

}  // namespace muster::history
