#include "daemon/history/frame_codec.h"

#include <bit>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/history/columns.h"
#include "daemon/history/training_codec.h"

namespace muster::history {
namespace {

using consistency::Measures;
using consistency::RankMeasures;
using consistency::Spread;
using frames::Frame;
using frames::Report;
using Doubles = std::vector<std::optional<double>>;
using Integers = std::vector<std::optional<uint64_t>>;

// Columns of `more`. A number is never used for anything else again.
enum Id : uint8_t {
  // Of each report.
  kSequence = 1,
  kNonfiniteCount = 2,
  kElementsObserved = 3,
  kWallTime = 4,
  kLearningRate = 5,
  kReplicaFingerprint = 6,
  kSampleIds = 7,
  kMultipleBackward = 8,
  kGradientScale = 9,
  kFacts = 10,
  // Of the frame.
  kLossMean = 32,
  kLoss = 33,
  kGradientNorm = 34,
  kDirections = 35,
  kCosineMean = 36,
  kCosineMin = 37,
  kCosineExpected = 38,
  kNoiseScale = 39,
  kNoiseScaleInBatches = 40,
  kStepCosine = 41,
  kGradientSquare = 42,
  kCovarianceTrace = 43,
  kReplicaValues = 44,
  kLookalikes = 45,
  // Of each rank's measures, where they are not what the report says.
  kMeasuredRanks = 64,
  kMeasuredLoss = 65,
  kMeasuredWeight = 66,
  kMeasuredNorm = 67,
  kMeasuredCosine = 68,
  kMeasuredDivergence = 69,
  kMeasuredNonfinite = 70,
  kMeasuredLossNonfinite = 71,
  kMeasuredStepSeconds = 72,
  kMeasuredArrivalDelay = 73,
  kMeasuredComputeSeconds = 81,  // 74 … 80: training_codec.cc
};

// A column of all elements of `from`, one by one.
template <typename Element, typename Get>
Doubles DoublesOf(const std::vector<Element>& from, Get get) {
  Doubles values;
  values.reserve(from.size());
  for (const Element& element : from) values.push_back(get(element));
  return values;
}

// As above; 0 counts as absent.
template <typename Element, typename Get>
Integers IntegersOf(const std::vector<Element>& from, Get get) {
  Integers values;
  values.reserve(from.size());
  for (const Element& element : from) {
    const uint64_t value = get(element);
    values.push_back(value == 0 ? std::nullopt : std::optional(value));
  }
  return values;
}

std::string EncodeSamples(const std::vector<Report>& reports) {
  bool any = false;
  ByteWriter bytes;
  for (const Report& report : reports) {
    any |= !report.sample_ids.empty();
    bytes.Integer(report.sample_ids.size());
    uint64_t last = 0;
    for (const uint64_t id : report.sample_ids) {
      bytes.Signed(static_cast<int64_t>(id - last));
      last = id;
    }
  }
  return any ? bytes.Take() : "";
}

bool DecodeSamples(std::string_view bytes, std::vector<Report>& reports) {
  if (bytes.empty()) return true;
  ByteReader reader(bytes);
  for (Report& report : reports) {
    const uint64_t count = reader.Count();
    uint64_t last = 0;
    for (uint64_t i = 0; i < count && reader.ok(); ++i) {
      report.sample_ids.push_back(last +=
                                  static_cast<uint64_t>(reader.Signed()));
    }
  }
  return reader.ok() && reader.empty();
}

// What the measures of a rank are if its report is taken at its word.
RankMeasures MeasuresOf(const Report& report) {
  RankMeasures rank;
  rank.rank = report.rank;
  rank.loss_nonfinite = report.loss && !std::isfinite(*report.loss);
  if (!rank.loss_nonfinite) rank.loss = report.loss;
  rank.weight = report.weight;
  rank.gradient_norm = report.gradient_norm;
  rank.nonfinite_count = report.nonfinite_count;
  rank.step_duration_seconds = report.step_duration_seconds;
  rank.compute_seconds = report.compute_seconds;
  return rank;
}

std::vector<RankMeasures> MeasuresOf(const std::vector<Report>& reports) {
  std::vector<RankMeasures> ranks;
  ranks.reserve(reports.size());
  for (const Report& report : reports) ranks.push_back(MeasuresOf(report));
  return ranks;
}

bool SameBits(const std::optional<double>& a, const std::optional<double>& b) {
  return a.has_value() == b.has_value() &&
         (!a || std::bit_cast<uint64_t>(*a) == std::bit_cast<uint64_t>(*b));
}

// Writes the column if it is not what is expected.
template <typename Get>
void DoublesUnless(uint8_t id, const std::vector<RankMeasures>& ranks,
                   const std::vector<RankMeasures>& expected, Get get,
                   ColumnWriter& more) {
  bool same = ranks.size() == expected.size();
  for (size_t i = 0; same && i < ranks.size(); ++i) {
    same = SameBits(get(ranks[i]), get(expected[i]));
  }
  if (same) return;
  Doubles values = DoublesOf(ranks, get);
  // A column that is all absent would be left out, and read as expected.
  values.push_back(0.0);
  more.Doubles(id, values);
}

template <typename Get>
void IntegersUnless(uint8_t id, const std::vector<RankMeasures>& ranks,
                    const std::vector<RankMeasures>& expected, Get get,
                    ColumnWriter& more) {
  bool same = ranks.size() == expected.size();
  for (size_t i = 0; same && i < ranks.size(); ++i) {
    same = get(ranks[i]) == get(expected[i]);
  }
  if (same) return;
  Integers values = IntegersOf(ranks, get);
  values.push_back(1);
  more.Integers(id, values);
}

Doubles Pack(const std::optional<Spread>& spread) {
  if (!spread) return {};
  return {static_cast<double>(spread->count), spread->mean, spread->stddev,
          spread->min, spread->max};
}

std::optional<Spread> Unpack(uint8_t id, const ColumnReader& more) {
  if (more.count(id) != 5) return std::nullopt;
  const auto value = [&](size_t i) { return more.Double(id, i).value_or(0); };
  const double count = value(0);
  Spread spread;
  if (count >= 0 && count <= ColumnReader::kMaxCount) {
    spread.count = static_cast<uint32_t>(count);
  }
  spread.mean = value(1);
  spread.stddev = value(2);
  spread.min = value(3);
  spread.max = value(4);
  return spread;
}

void EncodeMeasures(const Judged& judged, ColumnWriter& more) {
  const Measures& measures = *judged.measures;
  more.Double(kLossMean, measures.loss_mean);
  more.Doubles(kLoss, Pack(measures.loss));
  more.Doubles(kGradientNorm, Pack(measures.gradient_norm));
  more.Integers(kDirections, {measures.directions});
  more.Double(kCosineMean, measures.cosine_mean);
  more.Double(kCosineMin, measures.cosine_min);
  more.Double(kCosineExpected, measures.cosine_expected);
  more.Double(kNoiseScale, measures.noise_scale);
  more.Integers(kNoiseScaleInBatches, {measures.noise_scale_in_batches});
  more.Double(kStepCosine, measures.step_cosine);
  more.Double(kGradientSquare, measures.gradient_square);
  more.Double(kCovarianceTrace, measures.covariance_trace);
  more.Integers(kReplicaValues, {measures.replica_values});
  Integers lookalikes;
  for (const consistency::RankPair& pair : measures.lookalikes) {
    lookalikes.push_back(pair.first);
    lookalikes.push_back(pair.second);
  }
  more.Integers(kLookalikes, lookalikes);
  EncodeTrainingMeasures(measures, more);

  const std::vector<RankMeasures>& ranks = measures.ranks;
  const auto expected = MeasuresOf(judged.frame->reports);
  const auto put = [&](uint8_t id, auto get) {
    DoublesUnless(id, ranks, expected, get, more);
  };
  const auto put_whole = [&](uint8_t id, auto get) {
    IntegersUnless(id, ranks, expected, get, more);
  };
  using Rank = const RankMeasures&;
  put_whole(kMeasuredRanks, [](Rank r) { return r.rank + uint64_t{1}; });
  put(kMeasuredLoss, [](Rank r) { return r.loss; });
  put(kMeasuredWeight, [](Rank r) { return r.weight; });
  put(kMeasuredNorm, [](Rank r) { return r.gradient_norm; });
  put(kMeasuredCosine, [](Rank r) { return r.gradient_cosine; });
  put(kMeasuredDivergence, [](Rank r) { return r.divergence; });
  put_whole(kMeasuredNonfinite, [](Rank r) { return r.nonfinite_count; });
  put_whole(kMeasuredLossNonfinite,
            [](Rank r) { return uint64_t{r.loss_nonfinite}; });
  put(kMeasuredStepSeconds, [](Rank r) { return r.step_duration_seconds; });
  put(kMeasuredComputeSeconds, [](Rank r) { return r.compute_seconds; });
  put(kMeasuredArrivalDelay, [](Rank r) { return r.arrival_delay_seconds; });
}

// False if it is not for as many ranks. Each rank has a byte at least of the
// `size` bytes behind `more`.
bool DecodeRanks(const ColumnReader& more, size_t size,
                 std::vector<RankMeasures>& ranks) {
  if (more.count(kMeasuredRanks) > size) return false;
  if (more.count(kMeasuredRanks) > 0) {
    ranks.resize(more.count(kMeasuredRanks) - 1);
  }
  const size_t count = ranks.size();
  bool good = true;
  const auto get = [&](uint8_t id, auto set) {
    const size_t given = more.count(id);
    good &= given == 0 || given == count + 1;
    if (given != count + 1) return;
    for (size_t i = 0; i < count; ++i) set(ranks[i], i);
  };
  using Rank = RankMeasures&;
  const auto whole = [&](uint8_t id, size_t i) {
    return more.Integer(id, i).value_or(0);
  };
  get(kMeasuredRanks, [&](Rank r, size_t i) {
    r.rank = static_cast<uint32_t>(whole(kMeasuredRanks, i) - 1);
  });
  get(kMeasuredLoss,
      [&](Rank r, size_t i) { r.loss = more.Double(kMeasuredLoss, i); });
  get(kMeasuredWeight,
      [&](Rank r, size_t i) { r.weight = more.Double(kMeasuredWeight, i); });
  get(kMeasuredNorm, [&](Rank r, size_t i) {
    r.gradient_norm = more.Double(kMeasuredNorm, i);
  });
  get(kMeasuredCosine, [&](Rank r, size_t i) {
    r.gradient_cosine = more.Double(kMeasuredCosine, i);
  });
  get(kMeasuredDivergence, [&](Rank r, size_t i) {
    r.divergence = more.Double(kMeasuredDivergence, i);
  });
  get(kMeasuredNonfinite, [&](Rank r, size_t i) {
    r.nonfinite_count = whole(kMeasuredNonfinite, i);
  });
  get(kMeasuredLossNonfinite, [&](Rank r, size_t i) {
    r.loss_nonfinite = whole(kMeasuredLossNonfinite, i) != 0;
  });
  get(kMeasuredStepSeconds, [&](Rank r, size_t i) {
    r.step_duration_seconds = more.Double(kMeasuredStepSeconds, i);
  });
  get(kMeasuredComputeSeconds, [&](Rank r, size_t i) {
    r.compute_seconds = more.Double(kMeasuredComputeSeconds, i);
  });
  get(kMeasuredArrivalDelay, [&](Rank r, size_t i) {
    r.arrival_delay_seconds = more.Double(kMeasuredArrivalDelay, i);
  });
  return good;
}

bool DecodeMeasures(const ColumnReader& more, size_t size, const Frame& frame,
                    Measures& measures) {
  const auto whole = [&](uint8_t id) {
    return static_cast<uint32_t>(more.Integer(id, 0).value_or(0));
  };
  measures.attempt = frame.attempt;
  measures.step = frame.step;
  measures.ranks_expected = frame.world_size;
  measures.ranks_reporting = static_cast<uint32_t>(frame.reports.size());
  measures.loss_mean = more.Double(kLossMean);
  measures.loss = Unpack(kLoss, more);
  measures.gradient_norm = Unpack(kGradientNorm, more);
  measures.directions = whole(kDirections);
  measures.cosine_mean = more.Double(kCosineMean);
  measures.cosine_min = more.Double(kCosineMin);
  measures.cosine_expected = more.Double(kCosineExpected);
  measures.noise_scale = more.Double(kNoiseScale);
  measures.noise_scale_in_batches = whole(kNoiseScaleInBatches) != 0;
  measures.step_cosine = more.Double(kStepCosine);
  measures.gradient_square = more.Double(kGradientSquare);
  measures.covariance_trace = more.Double(kCovarianceTrace);
  measures.replica_values = whole(kReplicaValues);
  for (size_t i = 0; i + 1 < more.count(kLookalikes); i += 2) {
    measures.lookalikes.push_back(
        {static_cast<uint32_t>(more.Integer(kLookalikes, i).value_or(0)),
         static_cast<uint32_t>(more.Integer(kLookalikes, i + 1).value_or(0))});
  }
  measures.ranks = MeasuresOf(frame.reports);
  if (!DecodeRanks(more, size, measures.ranks)) return false;
  DecodeTrainingMeasures(more, measures);
  return true;
}

void EncodeReports(const std::vector<Report>& reports, const FactNumber& facts,
                   FrameColumns& columns, ColumnWriter& more) {
  ByteWriter ranks;
  for (const Report& report : reports) {
    for (int i = 0; i < 4; ++i) ranks.Byte(report.rank >> 8 * i);
  }
  columns.ranks = ranks.Take();
  using R = const Report&;
  const auto pack = [&](auto get) {
    return PackDoubles(DoublesOf(reports, get));
  };
  columns.loss = pack([](R r) { return r.loss; });
  columns.gradient_norm = pack([](R r) { return r.gradient_norm; });
  columns.weight = pack([](R r) { return r.weight; });
  columns.step_seconds = pack([](R r) { return r.step_duration_seconds; });
  const auto whole = [&](uint8_t id, auto get) {
    more.Integers(id, IntegersOf(reports, get));
  };
  whole(kSequence, [](R r) { return r.sequence; });
  whole(kNonfiniteCount, [](R r) { return r.nonfinite_count; });
  whole(kElementsObserved, [](R r) { return r.elements_observed; });
  whole(kWallTime,
        [](R r) { return static_cast<uint64_t>(r.wall_time_unix_nanos); });
  whole(kMultipleBackward, [](R r) { return uint64_t{r.multiple_backward}; });
  whole(kFacts, [&](R r) { return r.facts ? facts(r.facts) : 0; });
  more.Doubles(kLearningRate,
               DoublesOf(reports, [](R r) { return r.learning_rate; }));
  more.Doubles(kGradientScale,
               DoublesOf(reports, [](R r) { return r.gradient_scale; }));
  Integers fingerprints;
  for (R report : reports) fingerprints.push_back(report.replica_fingerprint);
  more.Integers(kReplicaFingerprint, fingerprints);
  more.Bytes(kSampleIds, EncodeSamples(reports));
  EncodeTraining(reports, more);
}

bool DecodeReports(const FrameColumns& columns, const ColumnReader& more,
                   const FactLookup& facts, Frame& frame) {
  const size_t count = columns.ranks.size() / 4;
  if (columns.ranks.size() % 4 != 0 || count > ColumnReader::kMaxCount) {
    return false;
  }
  frame.reports.resize(count);
  ByteReader ranks(columns.ranks);
  Doubles losses, norms, weights, seconds;
  if (!UnpackDoubles(columns.loss, count, losses) ||
      !UnpackDoubles(columns.gradient_norm, count, norms) ||
      !UnpackDoubles(columns.weight, count, weights) ||
      !UnpackDoubles(columns.step_seconds, count, seconds)) {
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    const auto whole = [&](uint8_t id) {
      return more.Integer(id, i).value_or(0);
    };
    Report& report = frame.reports[i];
    for (int b = 0; b < 4; ++b) {
      report.rank |= static_cast<uint32_t>(ranks.Byte()) << 8 * b;
    }
    if (i > 0 && report.rank <= frame.reports[i - 1].rank) return false;
    report.step = frame.step;
    report.loss = losses[i];
    report.gradient_norm = norms[i];
    report.weight = weights[i];
    report.step_duration_seconds = seconds[i];
    report.sequence = whole(kSequence);
    report.nonfinite_count = whole(kNonfiniteCount);
    report.elements_observed = whole(kElementsObserved);
    report.wall_time_unix_nanos = static_cast<int64_t>(whole(kWallTime));
    report.multiple_backward = whole(kMultipleBackward) != 0;
    report.learning_rate = more.Double(kLearningRate, i);
    report.gradient_scale = more.Double(kGradientScale, i);
    report.replica_fingerprint = more.Integer(kReplicaFingerprint, i);
    report.facts = facts(whole(kFacts));
    if (report.facts == nullptr) {
      report.facts = std::make_shared<const frames::FactSet>();
    }
  }
  return DecodeSamples(more.Bytes(kSampleIds), frame.reports) &&
         DecodeTraining(more, frame.reports);
}

absl::Status Damaged() { return absl::DataLossError("a frame is damaged"); }

}  // namespace

FrameColumns EncodeFrame(const Judged& judged, const FactNumber& facts) {
  FrameColumns columns;
  ColumnWriter more;
  EncodeReports(judged.frame->reports, facts, columns, more);
  columns.gradient_cosine =
      PackDoubles(DoublesOf(judged.measures->ranks, [](const RankMeasures& r) {
        return r.gradient_cosine;
      }));
  EncodeMeasures(judged, more);
  columns.more = more.Take();
  return columns;
}

absl::StatusOr<Judged> DecodeFrame(const FrameColumns& columns, Frame frame,
                                   const FactLookup& facts) {
  const auto more = ColumnReader::Parse(columns.more);
  if (!more.ok()) return more.status();
  auto measures = std::make_shared<Measures>();
  if (!DecodeReports(columns, *more, facts, frame) ||
      !DecodeMeasures(*more, columns.more.size(), frame, *measures)) {
    return Damaged();
  }
  return Judged{std::make_shared<const Frame>(std::move(frame)),
                std::move(measures)};
}

std::string EncodeSketches(const Frame& frame) {
  bool any = false;
  ByteWriter bytes;
  for (const Report& report : frame.reports) {
    any |= !report.sketch.empty();
    bytes.Text(report.sketch);
  }
  return any ? bytes.Take() : "";
}

absl::Status DecodeSketches(std::string_view bytes, Frame& frame) {
  if (bytes.empty()) return absl::OkStatus();
  ByteReader reader(bytes);
  for (Report& report : frame.reports) report.sketch = reader.Text();
  return reader.ok() && reader.empty() ? absl::OkStatus() : Damaged();
}

std::string EncodeOpenReport(const OpenReport& open, const FactNumber& facts) {
  Frame frame;
  frame.reports.push_back(open.report);
  FrameColumns columns;
  ColumnWriter more;
  EncodeReports(frame.reports, facts, columns, more);
  ByteWriter bytes;
  bytes.Integer(open.incarnation);
  bytes.Integer(open.report.step);
  for (const std::string* column :
       {&columns.ranks, &columns.loss, &columns.gradient_norm, &columns.weight,
        &columns.step_seconds}) {
    bytes.Text(*column);
  }
  bytes.Text(more.Take());
  bytes.Text(open.report.sketch);
  bytes.Text(open.report.parameter_sketch);
  bytes.Text(open.report.local_sketch);
  bytes.Duration(open.report.arrival);
  return bytes.Take();
}

absl::StatusOr<OpenReport> DecodeOpenReport(std::string_view bytes,
                                            const FactLookup& facts) {
  ByteReader reader(bytes);
  OpenReport open;
  open.incarnation = reader.Integer();
  Frame frame;
  frame.step = reader.Integer();
  FrameColumns columns;
  for (std::string* column :
       {&columns.ranks, &columns.loss, &columns.gradient_norm, &columns.weight,
        &columns.step_seconds, &columns.more}) {
    *column = reader.Text();
  }
  const std::string_view sketch = reader.Text();
  const std::string_view parameter_sketch = reader.Text();
  const std::string_view local_sketch = reader.Text();
  const frames::Instant arrival = reader.Duration();
  if (!reader.ok() || !reader.empty()) return Damaged();
  const auto more = ColumnReader::Parse(columns.more);
  if (!more.ok()) return more.status();
  if (!DecodeReports(columns, *more, facts, frame) ||
      frame.reports.size() != 1) {
    return Damaged();
  }
  open.report = std::move(frame.reports[0]);
  open.report.sketch = sketch;
  open.report.parameter_sketch = parameter_sketch;
  open.report.local_sketch = local_sketch;
  open.report.arrival = arrival;
  return open;
}

}  // namespace muster::history
