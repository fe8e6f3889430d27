#include "daemon/consistency/directions.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "daemon/consistency/measure.h"

namespace muster::consistency {
namespace {

using frames::Frame;
using frames::Report;

// IEEE 754 binary16 to double, exactly.
double HalfToDouble(uint32_t half) {
  const uint32_t exponent = (half >> 10) & 0x1F;
  const uint32_t fraction = half & 0x3FF;
  if (exponent == 0) {
    const double magnitude = fraction * 0x1p-24;
    return (half & 0x8000) != 0 ? -magnitude : magnitude;
  }
  // binary32 has the same layout with 13 more bits of fraction; its exponent
  // is biased by 127 instead of 15.
  const uint32_t wide_exponent = exponent == 0x1F ? 0xFF : exponent + 112;
  return std::bit_cast<float>((half & 0x8000) << 16 | wide_exponent << 23 |
                              fraction << 13);
}

// The most frequent of `values`, the largest of equally frequent ones.
template <typename T>
std::optional<T> MostCommon(const std::vector<T>& values) {
  std::map<T, size_t> counts;
  for (const T& value : values) ++counts[value];
  std::optional<T> best;
  for (const auto& [value, count] : counts) {
    if (!best || count >= counts[*best]) best = value;
  }
  return best;
}

}  // namespace

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  const size_t width = std::min(a.size(), b.size());
  for (size_t j = 0; j < width; ++j) sum += a[j] * b[j];
  return sum;
}

std::optional<uint64_t> CommonCoverage(const Frame& frame) {
  std::vector<uint64_t> coverages;
  for (const Report& report : frame.reports) {
    if (report.gradient_norm) coverages.push_back(report.elements_observed);
  }
  return MostCommon(coverages);
}

bool HasComparableNorm(const Report& report,
                       std::optional<uint64_t> common_coverage) {
  return report.gradient_norm && std::isfinite(*report.gradient_norm) &&
         report.elements_observed == common_coverage;
}

std::vector<double> DecodeDirection(std::string_view sketch) {
  std::vector<double> direction(sketch.size() / 2);
  double square = 0;
  for (size_t j = 0; j < direction.size(); ++j) {
    const auto low = static_cast<unsigned char>(sketch[2 * j]);
    const auto high = static_cast<unsigned char>(sketch[2 * j + 1]);
    direction[j] = HalfToDouble(low | uint32_t{high} << 8);
    square += direction[j] * direction[j];
  }
  const double norm = std::sqrt(square);
  for (double& value : direction) value /= norm;
  return direction;
}

double DirectionCosine(const Report& a, const Report& b) {
  return std::clamp(Dot(DecodeDirection(a.sketch), DecodeDirection(b.sketch)),
                    -1.0, 1.0);
}

std::vector<size_t> ComparableDirections(const Frame& frame) {
  const std::optional<uint64_t> coverage = CommonCoverage(frame);
  std::vector<size_t> candidates;
  std::vector<size_t> sizes;
  for (size_t i = 0; i < frame.reports.size(); ++i) {
    const Report& report = frame.reports[i];
    if (report.sketch.empty() || report.multiple_backward ||
        !HasComparableNorm(report, coverage)) {
      continue;
    }
    candidates.push_back(i);
    sizes.push_back(report.sketch.size());
  }
  // Ingest refuses a second width in a run; should one get here, it is left
  // out rather than compared.
  const std::optional<size_t> size = MostCommon(sizes);
  std::erase_if(candidates, [&](size_t i) {
    return frame.reports[i].sketch.size() != size;
  });
  return candidates;
}

CosineMatrix PairCosines(const Frame& frame) {
  const std::vector<size_t> indices = ComparableDirections(frame);
  const size_t count = indices.size();
  CosineMatrix matrix;
  std::vector<std::vector<double>> directions;
  for (size_t i : indices) {
    matrix.ranks.push_back(frame.reports[i].rank);
    directions.push_back(DecodeDirection(frame.reports[i].sketch));
  }
  matrix.cosines.assign(count * count, 1.0f);
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = i + 1; j < count; ++j) {
      const auto cosine = static_cast<float>(
          std::clamp(Dot(directions[i], directions[j]), -1.0, 1.0));
      matrix.cosines[i * count + j] = cosine;
      matrix.cosines[j * count + i] = cosine;
    }
  }
  return matrix;
}

}  // namespace muster::consistency
