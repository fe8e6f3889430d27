#include "cli/screen_text.h"

#include <algorithm>
#include <utility>

namespace muster::cli {

size_t Columns(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
}

// The first `width` characters.
std::string Cut(const std::string& text, size_t width) {
  size_t columns = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (begins && ++columns > width) return text.substr(0, i);
  }
  return text;
}

std::string Left(const std::string& text, size_t width) {
  const std::string cut = Cut(text, width);
  return cut + std::string(width - Columns(cut), ' ');
}

std::string Right(const std::string& text, size_t width) {
  const std::string cut = Cut(text, width);
  return std::string(width - Columns(cut), ' ') + cut;
}

Line Fit(const Line& line, size_t width) {
  Line fitted;
  for (const Span& span : line) {
    const std::string cut = Cut(span.text, width);
    width -= Columns(cut);
    if (!cut.empty()) fitted.push_back({span.tone, cut});
  }
  return fitted;
}

}  // namespace muster::cli
