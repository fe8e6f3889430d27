#include "daemon/simulate/generator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace muster::simulate {
namespace {

constexpr uint64_t kElements = 1'000'000;
constexpr double kGradientScale = 1024;
constexpr double kDurationNoise = 0.02;
constexpr uint64_t kFirstOverflows = 2;
constexpr size_t kShardValues = 3;  // loss, norm, cosine

// IEEE binary16 bits of |value| ≤ 1, rounded to nearest even.
uint16_t HalfBits(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (magnitude < 0x1p-14) {
    return sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24));
  }
  int exponent;
  const double fraction = std::frexp(magnitude, &exponent);  // in [1/2, 1)
  // Carries into the exponent when the fraction rounds up to 1.
  return sign | static_cast<uint16_t>(
                    static_cast<int>(std::nearbyint(fraction * 0x1p11)) -
                    0x400 + ((exponent + 14) << 10));
}

double SquareOf(const std::vector<double>& vector) {
  double sum = 0;
  for (double value : vector) sum += value * value;
  return sum;
}

// Factor by which a set exponent bit makes a float32 larger.
double FlipFactor(double bit) { return std::exp2(std::exp2(bit - 23)); }

}  // namespace

Generator::Generator(Options options)
    : options_(std::move(options)),
      random_(options_.seed),
      schedule_(options_),
      facts_(std::make_shared<const frames::FactSet>()),
      draws_(options_.ranks),
      direction_(options_.sketch_width),
      gradient_(options_.sketch_width) {
  for (double& value : direction_) value = random_.Gaussian();
  for (uint32_t i = 0; i < options_.ranks; ++i) {
    fixed_weights_.push_back(1 + options_.weight_spread *
                                     (2 * random_.Uniform() - 1));
    if (options_.sketch_pool == 0) {
      draws_[i].noise.resize(options_.sketch_width);
    }
  }
  if (options_.sketch_pool > 0) FillPool();
  if (options_.epoch_steps > 0) {
    const double deviation = 1 / std::sqrt(double(options_.epoch_steps));
    shards_.resize(kShardValues * options_.ranks * options_.epoch_steps);
    for (size_t i = 0; i < kShardValues * options_.ranks; ++i) {
      shard_means_.push_back(deviation * Noise());
    }
  }
  step_.frame.attempt = 1;
  step_.frame.world_size = options_.ranks;
}

void Generator::FillPool() {
  Draw draw;
  draw.noise.resize(options_.sketch_width);
  frames::Report report;
  for (uint32_t i = 0; i < options_.sketch_pool; ++i) {
    for (double& value : draw.noise) value = random_.Gaussian();
    ReportSketch(draw, 1, options_.noise_start, 0, report);
    pool_.Add({report.sketch, *report.gradient_norm / schedule_.gradient()});
  }
}

double Generator::Noise() {
  return options_.tails == Tails::kGaussian ? random_.Gaussian()
                                            : random_.StudentT3();
}

void Generator::DrawRank(Draw& draw) {
  const size_t rank = static_cast<size_t>(&draw - draws_.data());
  if (options_.weights == Weights::kFixed) draw.weight = fixed_weights_[rank];
  if (options_.weights == Weights::kFresh) {
    draw.weight = 1 + options_.weight_spread * (2 * random_.Uniform() - 1);
  }
  if (options_.epoch_steps > 0) {
    const size_t step = schedule_.step() % options_.epoch_steps;
    const double* values =
        &shards_[(rank * options_.epoch_steps + step) * kShardValues];
    draw.loss = values[0];
    draw.norm = values[1];
    draw.cosine = values[2];
  } else {
    draw.loss = Noise();
    draw.norm = Noise();
    draw.cosine = Noise();
  }
  draw.duration = Noise();
  for (double& value : draw.noise) value = random_.Gaussian();
}

void Generator::DrawShards() {
  const size_t steps = options_.epoch_steps;
  for (size_t stream = 0; stream < shard_means_.size(); ++stream) {
    double* values = &shards_[stream / kShardValues * steps * kShardValues +
                              stream % kShardValues];
    double sum = 0;
    for (size_t s = 0; s < steps; ++s) {
      sum += values[s * kShardValues] = Noise();
    }
    const double shift = shard_means_[stream] - sum / double(steps);
    for (size_t s = 0; s < steps; ++s) values[s * kShardValues] += shift;
  }
}

void Generator::DrawOverflow() {
  const bool first = schedule_.step() < kFirstOverflows;
  const bool now = random_.Below(options_.overflow_every) == 0;
  const uint64_t certain = random_.Below(options_.ranks);
  for (uint32_t i = 0; i < options_.ranks; ++i) {
    const bool drawn = random_.Below(2) == 0 || i == certain;
    draws_[i].overflow = first || (now && drawn);
  }
}

void Generator::TurnDirection() {
  const double kept = options_.direction_steps > 0
                          ? std::exp(-1 / options_.direction_steps)
                          : 0;
  const double fresh = std::sqrt(1 - kept * kept);
  for (double& value : direction_) {
    value = kept * value + fresh * random_.Gaussian();
  }
}

void Generator::MixDuplicates() {
  for (const Fault& fault : options_.faults) {
    if (fault.kind != FaultKind::kDuplicateShard ||
        !fault.ActiveAt(schedule_.step())) {
      continue;
    }
    Draw& own = draws_[fault.rank];
    const Draw& other = draws_[(fault.rank + 1) % options_.ranks];
    const double rest = std::sqrt(1 - fault.size * fault.size);
    const auto mix = [&](double& value, double with) {
      value = fault.size * with + rest * value;
    };
    own.weight = other.weight;
    mix(own.loss, other.loss);
    mix(own.norm, other.norm);
    mix(own.cosine, other.cosine);
    for (size_t j = 0; j < own.noise.size(); ++j) {
      mix(own.noise[j], other.noise[j]);
    }
  }
}

const Fault* Generator::FaultOf(FaultKind kind, uint32_t rank) const {
  for (const Fault& fault : options_.faults) {
    if (fault.kind == kind && fault.rank == rank &&
        fault.ActiveAt(schedule_.step())) {
      return &fault;
    }
  }
  return nullptr;
}

double Generator::NormDeviation(double signal, double own_noise) const {
  const double square = signal * signal + own_noise;
  return std::sqrt(
             (2 * own_noise * own_noise + 4 * signal * signal * own_noise) /
             options_.effective_dimension) /
         square;
}

void Generator::ReportSketch(const Draw& draw, double signal,
                             double noise_scale, double flip,
                             frames::Report& report) {
  const double length = std::sqrt(SquareOf(direction_));
  const double noise =
      std::sqrt(noise_scale / draw.weight / double(gradient_.size()));
  for (size_t j = 0; j < gradient_.size(); ++j) {
    gradient_[j] = schedule_.gradient() *
                   (signal * direction_[j] / length + noise * draw.noise[j]);
  }
  double norm = std::sqrt(SquareOf(gradient_));
  gradient_[0] += norm / std::sqrt(double(kElements)) * flip;
  norm = std::sqrt(SquareOf(gradient_));
  report.gradient_norm = norm;
  report.sketch.resize(2 * gradient_.size());
  for (size_t j = 0; j < gradient_.size(); ++j) {
    const uint16_t half = HalfBits(gradient_[j] / norm);
    report.sketch[2 * j] = static_cast<char>(half & 0xFF);
    report.sketch[2 * j + 1] = static_cast<char>(half >> 8);
  }
}

void Generator::StretchNorm(const Draw& draw, double signal, double own_noise,
                            frames::Report& report) const {
  if (options_.tails != Tails::kStudentT3) return;
  *report.gradient_norm *=
      std::exp(NormDeviation(signal, own_noise) / 2 * draw.norm);
}

void Generator::Report(uint32_t rank, frames::Report& report, double& cosine) {
  const Draw& draw = draws_[rank];
  const double noise_scale = schedule_.noise_scale();
  const double loss_mean = schedule_.loss_mean();
  const auto size = [&](FaultKind kind, double otherwise) {
    const Fault* fault = FaultOf(kind, rank);
    return fault == nullptr ? otherwise : fault->size;
  };
  const double wrong = size(FaultKind::kLabelNoise, 0);
  const Fault* flipped = FaultOf(FaultKind::kExponentFlip, rank);
  const double flip = flipped != nullptr && flipped->onset == schedule_.step()
                          ? FlipFactor(flipped->size) - 1
                          : 0;

  report.rank = rank;
  report.sequence = schedule_.step() + 1;
  report.step = schedule_.step();
  report.facts = facts_;
  report.weight = options_.batch_samples * draw.weight;
  report.learning_rate = schedule_.learning_rate();
  report.elements_observed = kElements;
  report.loss = loss_mean + wrong * (options_.loss_start - loss_mean) +
                options_.loss_noise * loss_mean / std::sqrt(draw.weight) *
                    (draw.loss + size(FaultKind::kLossShift, 0));
  report.step_duration_seconds = options_.step_seconds *
                                 size(FaultKind::kSlowRank, 1) *
                                 std::exp(kDurationNoise * draw.duration);
  if (options_.fingerprints) {
    report.replica_fingerprint =
        schedule_.step() +
        (FaultOf(FaultKind::kReplicaDrift, rank) != nullptr ? 1000003 : 0);
  }
  if (options_.overflow_every > 0) report.gradient_scale = kGradientScale;

  const double signal = 1 - wrong;
  const double own_noise = noise_scale / draw.weight;
  const double square = signal * signal + own_noise;
  if (pool_.size() > 0) {
    const SketchPool::Sketch& dealt = pool_.Of(rank);
    report.sketch = dealt.bytes;
    report.gradient_norm = schedule_.gradient() * dealt.norm;
    StretchNorm(draw, signal, own_noise, report);
  } else if (options_.sketch_width > 0) {
    ReportSketch(draw, signal, noise_scale, flip, report);
    StretchNorm(draw, signal, own_noise, report);
  } else {
    const double dimension = options_.effective_dimension;
    const double deviation = NormDeviation(signal, own_noise);
    const double norm = schedule_.gradient() * std::sqrt(square) *
                        std::exp(deviation / 2 * draw.norm);
    const double element = norm / std::sqrt(double(kElements));
    const double others = options_.ranks - 1.0;
    report.gradient_norm = std::hypot(norm, element * flip);
    cosine = (std::sqrt(others / (others + noise_scale)) * signal +
              std::sqrt(own_noise / dimension) * draw.cosine) /
             std::sqrt(square) * norm / *report.gradient_norm;
    cosine = std::clamp(cosine, -1.0, 1.0);
  }
  *report.gradient_norm *= size(FaultKind::kGradientScale, 1);

  const bool broken = FaultOf(FaultKind::kNonFinite, rank) != nullptr;
  if (broken) report.loss = std::numeric_limits<double>::quiet_NaN();
  report.nonfinite_count = broken || draw.overflow ? 1 : 0;
  if (report.nonfinite_count > 0) {
    report.gradient_norm.reset();
    report.sketch.clear();
    cosine = std::numeric_limits<double>::quiet_NaN();
  }
}

const Step& Generator::Next() {
  if (step_.frame.closed_at != frames::Instant()) schedule_.Advance();
  if (options_.epoch_steps > 0 &&
      schedule_.step() % options_.epoch_steps == 0) {
    DrawShards();
  }
  if (pool_.size() > 0) {
    pool_.Deal(options_.ranks, random_);
  } else {
    TurnDirection();
  }
  if (options_.overflow_every > 0) DrawOverflow();
  for (Draw& draw : draws_) DrawRank(draw);
  MixDuplicates();

  step_.frame.step = schedule_.step();
  step_.frame.reports.resize(options_.ranks);
  step_.cosines.resize(options_.sketch_width > 0 ? 0 : options_.ranks);
  size_t present = 0;
  for (uint32_t rank = 0; rank < options_.ranks; ++rank) {
    if (FaultOf(FaultKind::kRankDies, rank) != nullptr) continue;
    double cosine = 0;
    Report(rank, step_.frame.reports[present], cosine);
    if (!step_.cosines.empty()) step_.cosines[present] = cosine;
    ++present;
  }
  step_.frame.reports.resize(present);
  if (!step_.cosines.empty()) step_.cosines.resize(present);
  const double square = schedule_.gradient() * schedule_.gradient();
  step_.gradient_square = square;
  step_.covariance_trace =
      square * schedule_.noise_scale() * options_.batch_samples;
  step_.frame.first_arrival = step_.frame.last_arrival = step_.frame.closed_at =
      absl::Seconds(options_.step_seconds * (double(schedule_.step()) + 1));
  return step_;
}

}  // namespace muster::simulate
