#include "cli/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/screen_text.h"

namespace muster::cli {
namespace {

void AppendLine(const std::vector<std::string>& cells,
                const std::vector<size_t>& widths,
                const std::vector<Align>& aligns, std::string& out) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += "  ";
    const std::string padding(widths[i] - Columns(cells[i]), ' ');
    if (aligns[i] == Align::kRight) {
      absl::StrAppend(&line, padding, cells[i]);
    } else {
      absl::StrAppend(&line, cells[i], padding);
    }
  }
  line.erase(line.find_last_not_of(' ') + 1);
  absl::StrAppend(&out, line, "\n");
}

}  // namespace

void Table::AddColumn(std::string title, Align align) {
  columns_.push_back({std::move(title), align});
}

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::ToString() const {
  if (rows_.empty()) return "";
  std::vector<std::string> titles;
  std::vector<size_t> widths;
  std::vector<Align> aligns;
  for (size_t i = 0; i < columns_.size(); ++i) {
    titles.push_back(columns_[i].title);
    aligns.push_back(columns_[i].align);
    size_t width = Columns(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, Columns(row[i]));
    widths.push_back(width);
  }
  std::string out;
  AppendLine(titles, widths, aligns, out);
  for (const auto& row : rows_) AppendLine(row, widths, aligns, out);
  return out;
}

std::string Coloured(const std::string& text, Colour colour, bool enabled) {
  if (!enabled) return text;
  const int code = colour == Colour::kGreen    ? 32
                   : colour == Colour::kYellow ? 33
                                               : 31;
  return absl::StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

std::string Printable(const std::string& text) {
  std::string clean;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = text[i];
    const unsigned char next = i + 1 < text.size() ? text[i + 1] : 0;
    if (c == 0xC2 && next >= 0x80 && next < 0xA0) {
      // Control characters of the second kind, two bytes in UTF-8.
      clean += '?';
      ++i;
    } else {
      clean += c < 0x20 || c == 0x7F ? '?' : text[i];
    }
  }
  return clean;
}

std::string Number(std::optional<double> value) {
  return value ? absl::StrFormat("%.4g", *value) : "-";
}

}  // namespace muster::cli
