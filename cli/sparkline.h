// A row of small bars for a row of numbers.
#ifndef MUSTER_CLI_SPARKLINE_H_
#define MUSTER_CLI_SPARKLINE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace muster::cli {

enum class Glyphs {
  kBlocks,  // ▁ … █, for UTF-8 terminals
  kAscii,   // . … #, for all others
};

// The newest `width` values, one character each, from their lowest to their
// highest; a blank where there is no value, padded with
// blanks on the left. Equal values are all of the lowest bar.
std::string Sparkline(const std::vector<std::optional<double>>& values,
                      size_t width, Glyphs glyphs);

// The same for signed deviations: height is |value| on a scale from 0 to
// `full`, so that rows can be compared with each other.
std::string DeviationLine(const std::vector<std::optional<double>>& values,
                          double full, size_t width, Glyphs glyphs);

}  // namespace muster::cli

#endif  // MUSTER_CLI_SPARKLINE_H_
