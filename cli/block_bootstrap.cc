#include "cli/block_bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "daemon/simulate/random.h"

namespace muster::cli {
namespace {

constexpr size_t kResamples = 2000;
constexpr size_t kTail = kResamples / 40;  // 2.5 %
constexpr size_t kLeastBlock = 10;
constexpr size_t kLeastBlocks = 5;
constexpr uint64_t kSeed = 1989;

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

// Of neighbours in a − scale·b.
double Correlation(const std::vector<double>& a, const std::vector<double>& b,
                   double scale) {
  std::vector<double> values(a.size());
  for (size_t t = 0; t < a.size(); ++t) values[t] = a[t] - scale * b[t];
  const double mean = Mean(values);
  double square = 0;
  double product = 0;
  for (size_t t = 0; t < values.size(); ++t) {
    square += (values[t] - mean) * (values[t] - mean);
    if (t > 0) product += (values[t] - mean) * (values[t - 1] - mean);
  }
  return square > 0 ? product / square : 0;
}

size_t BlockLength(size_t pairs, double correlation) {
  const double rho = std::clamp(correlation, 0.0, 0.999);
  const double n = static_cast<double>(pairs);
  const double length =
      std::cbrt(6 * n) * std::pow(rho / (1 - rho * rho), 2.0 / 3.0);
  return std::min(std::max(kLeastBlock, static_cast<size_t>(std::ceil(length))),
                  pairs / kLeastBlocks);
}

// Sums of the values before each, less their mean, so that a sum over a block
// is a difference of two small numbers.
std::vector<double> SumsBefore(const std::vector<double>& values, double mean) {
  std::vector<double> sums = {0};
  for (const double value : values) sums.push_back(sums.back() + value - mean);
  return sums;
}

}  // namespace

std::optional<Estimate> Bootstrap(Contrast contrast,
                                  const std::vector<double>& a,
                                  const std::vector<double>& b) {
  const size_t n = a.size();
  if (n < kLeastPairs) return std::nullopt;
  const bool ratio = contrast == Contrast::kRatio;
  Estimate estimate{.a = Mean(a), .b = Mean(b), .pairs = n};
  if (ratio && !(estimate.b > 0)) return std::nullopt;
  estimate.value = ratio ? estimate.a / estimate.b : estimate.a - estimate.b;
  estimate.block =
      BlockLength(n, Correlation(a, b, ratio ? estimate.value : 1));

  const std::vector<double> a_sums = SumsBefore(a, estimate.a);
  const std::vector<double> b_sums = SumsBefore(b, estimate.b);
  simulate::Random random(kSeed);
  std::vector<double> contrasts;
  contrasts.reserve(kResamples);
  for (size_t i = 0; i < kResamples; ++i) {
    double a_sum = 0;
    double b_sum = 0;
    for (size_t taken = 0; taken < n; taken += estimate.block) {
      const size_t from = random.Below(n - estimate.block + 1);
      const size_t to = from + std::min(estimate.block, n - taken);
      a_sum += a_sums[to] - a_sums[from];
      b_sum += b_sums[to] - b_sums[from];
    }
    const double a_mean = estimate.a + a_sum / static_cast<double>(n);
    const double b_mean = estimate.b + b_sum / static_cast<double>(n);
    if (ratio && !(b_mean > 0)) return std::nullopt;
    contrasts.push_back(ratio ? a_mean / b_mean : a_mean - b_mean);
  }
  std::sort(contrasts.begin(), contrasts.end());
  const double shift = estimate.value - Mean(contrasts);
  estimate.low = contrasts[kTail] + shift;
  estimate.high = contrasts[kResamples - 1 - kTail] + shift;
  return estimate;
}

}  // namespace muster::cli
