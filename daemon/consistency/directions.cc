#include "daemon/consistency/directions.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>

#include "daemon/consistency/measure.h"

namespace muster::consistency {
namespace {

using frames::Frame;
using frames::Report;

static_assert(std::endian::native == std::endian::little,
              "sketches are read as they lie in memory");

// IEEE 754 binary16 to binary32, exactly, of finite numbers and without a
// branch: the same layout with 13 more bits of fraction, and an exponent whose
// bias is 112 larger.
float HalfToFloat(uint16_t half) {
  const auto magnitude =
      std::bit_cast<float>(uint32_t{half & 0x7FFFu} << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) |
                              uint32_t{half & 0x8000u} << 16);
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
  // Eight sums side by side, so that none waits for the one before; their order
  // is fixed, whatever the compiler makes of them.
  constexpr size_t kLanes = 8;
  double sums[kLanes] = {};
  const size_t width = std::min(a.size(), b.size());
  size_t j = 0;
  for (; j + kLanes <= width; j += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += a[j + lane] * b[j + lane];
    }
  }
  for (size_t lane = 0; j < width; ++j, ++lane) sums[lane] += a[j] * b[j];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
         ((sums[4] + sums[5]) + (sums[6] + sums[7]));
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
  for (size_t j = 0; j < direction.size(); ++j) {
    uint16_t half;
    std::memcpy(&half, sketch.data() + 2 * j, sizeof(half));
    direction[j] = HalfToFloat(half);
  }
  const double scale = 1 / std::sqrt(Dot(direction, direction));
  for (double& value : direction) value *= scale;
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
