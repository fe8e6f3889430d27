// Lines of a screen whose size is given: text in columns, with a tone.
#ifndef MUSTER_CLI_SCREEN_TEXT_H_
#define MUSTER_CLI_SCREEN_TEXT_H_

#include <cstddef>
#include <string>
#include <vector>

namespace muster::cli {

enum class Tone { kPlain, kDim, kBold, kGood, kWarning, kBad, kReverse };

struct Span {
  Tone tone;
  std::string text;  // printable UTF-8
};
using Line = std::vector<Span>;

// Characters of UTF-8, each taken for one column.
size_t Columns(const std::string& text);
// The first `width` columns.
std::string Cut(const std::string& text, size_t width);
// Exactly `width` columns: cut, or padded on the right or on the left.
std::string Left(const std::string& text, size_t width);
std::string Right(const std::string& text, size_t width);
// Cut after `width` columns.
Line Fit(const Line& line, size_t width);

}  // namespace muster::cli

#endif  // MUSTER_CLI_SCREEN_TEXT_H_
