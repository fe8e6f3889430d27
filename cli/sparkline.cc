#include "cli/sparkline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace muster::cli {
namespace {

constexpr int kLevels = 8;
constexpr std::array<const char*, kLevels> kBlocks = {"▁", "▂", "▃", "▄",
                                                      "▅", "▆", "▇", "█"};
constexpr std::array<const char*, kLevels> kAscii = {".", ":", "-", "=",
                                                     "+", "*", "%", "#"};

std::string Bars(const std::vector<std::optional<double>>& values, double low,
                 double high, size_t width, Glyphs glyphs) {
  const auto& bars = glyphs == Glyphs::kBlocks ? kBlocks : kAscii;
  const size_t shown = std::min(width, values.size());
  std::string out(width - shown, ' ');
  for (size_t i = values.size() - shown; i < values.size(); ++i) {
    if (!values[i] || !std::isfinite(*values[i])) {
      out += ' ';
      continue;
    }
    const double share = high > low ? (*values[i] - low) / (high - low) : 0;
    const int level = static_cast<int>(std::clamp(share, 0.0, 1.0) * kLevels);
    out += bars[std::min(level, kLevels - 1)];
  }
  return out;
}

}  // namespace

std::string Sparkline(const std::vector<std::optional<double>>& values,
                      size_t width, Glyphs glyphs) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  const size_t shown = std::min(width, values.size());
  for (size_t i = values.size() - shown; i < values.size(); ++i) {
    if (!values[i] || !std::isfinite(*values[i])) continue;
    low = std::min(low, *values[i]);
    high = std::max(high, *values[i]);
  }
  return Bars(values, low, high, width, glyphs);
}

std::string DeviationLine(const std::vector<std::optional<double>>& values,
                          double full, size_t width, Glyphs glyphs) {
  std::vector<std::optional<double>> sizes = values;
  for (auto& value : sizes) {
    if (value) value = std::abs(*value);
  }
  return Bars(sizes, 0, full, width, glyphs);
}

}  // namespace muster::cli
