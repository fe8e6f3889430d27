// Reports and frames for tests, from explicit vectors.
#ifndef MUSTER_TESTS_TESTING_FRAME_BUILDER_H_
#define MUSTER_TESTS_TESTING_FRAME_BUILDER_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/frames/frame.h"

namespace muster::testing {

// IEEE 754 binary16 bits of `value`, rounded to nearest even.
inline uint16_t HalfBits(double value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (magnitude < std::ldexp(1.0, -14)) {
    return sign |
           static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24)));
  }
  int exponent;
  const double fraction = std::frexp(magnitude, &exponent);  // in [1/2, 1)
  // Carries into the exponent when the fraction rounds up to 1.
  const auto bits = static_cast<int>(std::nearbyint(std::ldexp(fraction, 11))) -
                    0x400 + ((exponent + 14) << 10);
  return sign | static_cast<uint16_t>(std::min(bits, 0x7C00));
}

inline double Norm(const std::vector<double>& vector) {
  double square = 0;
  for (double value : vector) square += value * value;
  return std::sqrt(square);
}

// `vector` in half precision, little endian, as it is: whole numbers up to 2048
// are exact.
inline std::string EncodeHalves(const std::vector<double>& vector) {
  std::string bytes;
  for (double value : vector) {
    const uint16_t half = HalfBits(value);
    bytes.push_back(static_cast<char>(half & 0xFF));
    bytes.push_back(static_cast<char>(half >> 8));
  }
  return bytes;
}

// The wire form of the direction of `vector`: empty if the vector is 0.
inline std::string EncodeSketch(const std::vector<double>& vector) {
  const double norm = Norm(vector);
  if (norm == 0) return "";
  std::vector<double> direction = vector;
  for (double& value : direction) value /= norm;
  return EncodeHalves(direction);
}

// A report without gradient; facts are empty, not null.
inline frames::Report MakeReport(uint32_t rank, uint64_t step,
                                 std::optional<double> loss = std::nullopt) {
  frames::Report report;
  report.rank = rank;
  report.sequence = step + 1;
  report.step = step;
  report.loss = loss;
  report.facts = std::make_shared<const frames::FactSet>();
  return report;
}

// A report whose gradient is `gradient`: norm and sketch are taken from it.
inline frames::Report MakeReport(uint32_t rank, uint64_t step,
                                 std::optional<double> loss,
                                 const std::vector<double>& gradient) {
  frames::Report report = MakeReport(rank, step, loss);
  report.gradient_norm = Norm(gradient);
  report.sketch = EncodeSketch(gradient);
  report.elements_observed = gradient.size();
  return report;
}

// A closed frame of these reports (in any order of ranks); N is the number of
// reports unless told otherwise.
inline frames::Frame MakeFrame(uint64_t step,
                               std::vector<frames::Report> reports,
                               uint32_t world_size = 0, uint32_t attempt = 1) {
  std::sort(reports.begin(), reports.end(),
            [](const frames::Report& a, const frames::Report& b) {
              return a.rank < b.rank;
            });
  frames::Frame frame;
  frame.attempt = attempt;
  frame.step = step;
  frame.world_size =
      world_size != 0 ? world_size : static_cast<uint32_t>(reports.size());
  frame.reports = std::move(reports);
  return frame;
}

}  // namespace muster::testing

#endif  // MUSTER_TESTS_TESTING_FRAME_BUILDER_H_
