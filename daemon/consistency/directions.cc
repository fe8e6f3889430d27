#include "daemon/consistency/directions.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "daemon/consistency/measure.h"
#include "daemon/consistency/vector_sums.h"

namespace muster::consistency {
namespace {

using frames::Frame;
using frames::Report;

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
  return SumOfProducts(a.data(), b.data(), std::min(a.size(), b.size()));
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
  std::vector<float> numbers(sketch.size() / 2);
  const double norm =
      std::sqrt(DecodeHalves(sketch.data(), numbers.size(), numbers.data()));
  std::vector<double> direction(numbers.size());
  for (size_t j = 0; j < numbers.size(); ++j) direction[j] = numbers[j] / norm;
  return direction;
}

DirectionSums SumDirections(const Frame& frame,
                            const std::vector<double>& reference) {
  DirectionSums sums;
  sums.indices = ComparableDirections(frame);
  if (sums.indices.empty()) return sums;
  const size_t width = frame.reports[sums.indices[0]].sketch.size() / 2;
  sums.sum.assign(width, 0);
  sums.gradient_sum.assign(width, 0);
  const bool has_reference = reference.size() == width;
  sums.lengths.reserve(sums.count());
  std::vector<float> numbers(kTogether * width);
  const float* rows[kTogether];
  double scales[kTogether];
  double norm_scales[kTogether];
  double products[kTogether];
  for (size_t done = 0; done < sums.count();) {
    const size_t rest = sums.count() - done;
    const size_t count = has_reference && rest >= kTogether ? kTogether : 1;
    for (size_t row = 0; row < count; ++row) {
      const Report& report = frame.reports[sums.indices[done + row]];
      float* decoded = &numbers[row * width];
      const double length =
          std::sqrt(DecodeHalves(report.sketch.data(), width, decoded));
      sums.lengths.push_back(length);
      rows[row] = decoded;
      scales[row] = 1 / length;
      norm_scales[row] = *report.gradient_norm / length;
    }
    if (count == kTogether) {
      AddFourScaled(rows, width, scales, sums.sum.data(), norm_scales,
                    sums.gradient_sum.data(), reference.data(), products);
    } else {
      products[0] = AddScaled(rows[0], width, scales[0], sums.sum.data(),
                              norm_scales[0], sums.gradient_sum.data(),
                              has_reference ? reference.data() : nullptr);
    }
    for (size_t row = 0; has_reference && row < count; ++row) {
      sums.on_reference.push_back(products[row] / sums.lengths[done + row]);
    }
    done += count;
  }
  return sums;
}

std::vector<double> Project(const Frame& frame, const DirectionSums& sums,
                            const std::vector<double>& v) {
  std::vector<double> products;
  products.reserve(sums.count());
  for (size_t i = 0; i < sums.count(); ++i) {
    products.push_back(
        SumOfHalfProducts(frame.reports[sums.indices[i]].sketch.data(),
                          v.data(), v.size()) /
        sums.lengths[i]);
  }
  return products;
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
