#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/consistency/directions.h"
#include "daemon/consistency/measure.h"
#include "daemon/consistency/noise_scale.h"
#include "daemon/consistency/parameters.h"
#include "daemon/consistency/sample_accounts.h"

namespace muster::consistency {
namespace {

using frames::Frame;
using frames::Report;

// Weight that the reference direction keeps at each frame: the mean direction
// of one frame is mostly noise, that of some tens of frames is not.
constexpr double kReferenceDecay = 0.95;

// Below this a sum of unit vectors has cancelled out, and only rounding is left
// of it.
constexpr double kCancelled = 1e-12;

// Larger estimates are left out of averages: their squares could not be summed.
constexpr double kLargestEstimate = 1e100;

// Cosine from a product and two squared lengths, if there is an angle.
std::optional<double> Cosine(double product, double a_square, double b_square) {
  if (a_square <= kCancelled || b_square <= kCancelled) return std::nullopt;
  return std::clamp(product / std::sqrt(a_square * b_square), -1.0, 1.0);
}

// Absent without values, and where sums leave the range of double.
std::optional<Spread> SpreadOf(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  Spread spread;
  spread.count = static_cast<uint32_t>(values.size());
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  spread.min = *min;
  spread.max = *max;
  double sum = 0;
  for (double value : values) sum += value;
  spread.mean = sum / spread.count;
  double squares = 0;
  for (double value : values) {
    squares += (value - spread.mean) * (value - spread.mean);
  }
  spread.stddev = std::sqrt(squares / spread.count);
  if (!std::isfinite(spread.stddev)) return std::nullopt;
  return spread;
}

// Whether all ranks that tell how long their step was tell how long they
// computed. The two are never held against each other: one has the waiting in
// it.
bool HasComparableComputeTimes(const Frame& frame) {
  return std::all_of(
      frame.reports.begin(), frame.reports.end(), [](const Report& report) {
        return report.compute_seconds || !report.step_duration_seconds;
      });
}

// What each rank says by itself, and the spreads over ranks.
void MeasureScalars(const Frame& frame, Measures& measures) {
  const std::optional<uint64_t> coverage = CommonCoverage(frame);
  const bool compute_times = HasComparableComputeTimes(frame);
  std::vector<double> losses;
  std::vector<double> norms;
  double weighted_losses = 0;
  double weights = 0;
  for (const Report& report : frame.reports) {
    RankMeasures& rank = measures.ranks.emplace_back();
    rank.rank = report.rank;
    rank.weight = report.weight;
    rank.nonfinite_count = report.nonfinite_count;
    rank.loss_nonfinite = report.loss && !std::isfinite(*report.loss);
    rank.step_duration_seconds = report.step_duration_seconds;
    if (compute_times) rank.compute_seconds = report.compute_seconds;
    rank.arrival_delay_seconds = absl::ToDoubleSeconds(
        std::max(absl::ZeroDuration(), report.arrival - frame.first_arrival));
    if (report.loss && !rank.loss_nonfinite) {
      rank.loss = report.loss;
      losses.push_back(*report.loss);
      weighted_losses += report.weight.value_or(1) * *report.loss;
      weights += report.weight.value_or(1);
    }
    if (HasComparableNorm(report, coverage)) {
      rank.gradient_norm = report.gradient_norm;
      norms.push_back(*report.gradient_norm);
    }
  }
  const double loss_mean = weighted_losses / weights;
  if (std::isfinite(loss_mean)) measures.loss_mean = loss_mean;
  measures.loss = SpreadOf(losses);
  measures.gradient_norm = SpreadOf(norms);
}

// Agreement within the frame. Requires two directions.
void MeasureCosines(const Frame& frame, const DirectionSums& directions,
                    Measures& measures) {
  const auto count = static_cast<double>(directions.count());
  const double sum_square = Dot(directions.sum, directions.sum);
  measures.cosine_mean =
      std::clamp((sum_square - count) / (count * (count - 1)), -1.0, 1.0);
  const std::vector<double> on_sum = Project(frame, directions, directions.sum);
  for (size_t i = 0; i < directions.count(); ++i) {
    // u_i · (S − u_i) and ‖S − u_i‖², with u_i · u_i = 1.
    const std::optional<double> cosine =
        Cosine(on_sum[i] - 1, 1, sum_square - 2 * on_sum[i] + 1);
    measures.ranks[directions.indices[i]].gradient_cosine = cosine;
    if (cosine) {
      measures.cosine_min =
          std::min(*cosine, measures.cosine_min.value_or(*cosine));
    }
  }
}

// The weights behind a frame's directions.
struct BatchWeights {
  double harmonic_mean = 1;
  bool in_batches = false;  // not all ranks gave one
};

BatchWeights WeightsOf(const Frame& frame, const DirectionSums& directions) {
  double inverses = 0;
  for (size_t i : directions.indices) {
    if (!frame.reports[i].weight) return {.in_batches = true};
    inverses += 1 / *frame.reports[i].weight;
  }
  return {.harmonic_mean = static_cast<double>(directions.count()) / inverses};
}

// Requires two directions.
NoiseEstimate EstimateNoise(const Frame& frame, const DirectionSums& directions,
                            double harmonic_mean) {
  double squares = 0;
  for (size_t i : directions.indices) {
    const double norm = *frame.reports[i].gradient_norm;
    squares += norm * norm;
  }
  const auto count = static_cast<double>(directions.count());
  NoiseEstimate estimate;
  estimate.gradient_square =
      (Dot(directions.gradient_sum, directions.gradient_sum) - squares) /
      (count * (count - 1));
  estimate.covariance_trace =
      harmonic_mean * (squares / count - estimate.gradient_square);
  return estimate;
}

}  // namespace

struct Baseline::State {
  NoiseScale noise;
  std::vector<double> reference;  // r, up to a factor; empty before a frame
  std::vector<double> previous;   // S of the frame before; empty if it had none
  uint32_t previous_attempt = 0;
  SampleAccounts samples;

  void MeasureNoise(const Frame& frame, const DirectionSums& directions,
                    Measures& measures);
  void MeasureAgainstPast(const DirectionSums& directions, Measures& measures);
};

void Baseline::State::MeasureNoise(const Frame& frame,
                                   const DirectionSums& directions,
                                   Measures& measures) {
  const BatchWeights weights = WeightsOf(frame, directions);
  if (directions.count() >= 2) {
    const NoiseEstimate estimate =
        EstimateNoise(frame, directions, weights.harmonic_mean);
    if (std::fabs(estimate.gradient_square) < kLargestEstimate &&
        std::fabs(estimate.covariance_trace) < kLargestEstimate) {
      noise.Add(estimate, weights.in_batches);
    }
  }
  const std::optional<NoiseEstimate> average = noise.Average();
  if (!average) return;
  measures.gradient_square = average->gradient_square;
  measures.covariance_trace = average->covariance_trace;
  measures.noise_scale_in_batches = noise.in_batches();
  measures.noise_scale = noise.Scale();
  if (measures.noise_scale && directions.count() >= 2) {
    measures.cosine_expected =
        1 / (1 + *measures.noise_scale / weights.harmonic_mean);
  }
}

void Baseline::State::MeasureAgainstPast(const DirectionSums& directions,
                                         Measures& measures) {
  if (previous.size() == directions.sum.size() &&
      previous_attempt == measures.attempt) {
    measures.step_cosine =
        Cosine(Dot(previous, directions.sum), Dot(previous, previous),
               Dot(directions.sum, directions.sum));
  }
  previous = directions.sum;
  previous_attempt = measures.attempt;
  if (directions.count() == 0) return;

  const double square = Dot(reference, reference);
  for (size_t i = 0; i < directions.on_reference.size(); ++i) {
    const std::optional<double> cosine =
        Cosine(directions.on_reference[i], 1, square);
    if (cosine) {
      measures.ranks[directions.indices[i]].divergence = 1 - *cosine;
    }
  }
  if (reference.size() != directions.sum.size()) {
    reference.assign(directions.sum.size(), 0);
  }
  const auto count = static_cast<double>(directions.count());
  for (size_t j = 0; j < reference.size(); ++j) {
    reference[j] = kReferenceDecay * reference[j] +
                   (1 - kReferenceDecay) / count * directions.sum[j];
  }
}

Baseline::Baseline() : state_(std::make_unique<State>()) {}
Baseline::~Baseline() = default;

void Baseline::Reset() { state_ = std::make_unique<State>(); }

Measures Baseline::Measure(const Frame& frame) {
  Measures measures;
  measures.attempt = frame.attempt;
  measures.step = frame.step;
  measures.ranks_expected = frame.world_size;
  measures.ranks_reporting = static_cast<uint32_t>(frame.reports.size());
  MeasureScalars(frame, measures);
  measures.lookalikes = FindLookalikes(frame);

  const DirectionSums directions = SumDirections(frame, state_->reference);
  measures.directions = static_cast<uint32_t>(directions.count());
  if (directions.count() >= 2) MeasureCosines(frame, directions, measures);
  state_->MeasureNoise(frame, directions, measures);
  state_->MeasureAgainstPast(directions, measures);
  MeasureReplicas(frame, measures);
  MeasureLocalUpdates(frame, measures);
  state_->samples.Measure(frame, measures);
  return measures;
}

}  // namespace muster::consistency
