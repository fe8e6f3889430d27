// Text for a terminal: aligned columns, colours, nothing that could steer it.
#ifndef MUSTER_CLI_TABLE_H_
#define MUSTER_CLI_TABLE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace muster::cli {

enum class Align { kLeft, kRight };

// Columns as wide as their widest cell, two spaces apart. Thread-compatible.
class Table {
 public:
  void AddColumn(std::string title, Align align);
  // One cell for each column.
  void AddRow(std::vector<std::string> cells);
  // Title and rows, each line ended; empty without rows.
  std::string ToString() const;

 private:
  struct Column {
    std::string title;
    Align align;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

enum class Colour { kGreen, kYellow, kRed };
// `text` in that colour if `enabled`.
std::string Coloured(const std::string& text, Colour colour, bool enabled);

// Control characters replaced by '?': host names and facts come from ranks, and
// must not move the cursor of whoever reads them.
std::string Printable(const std::string& text);

// Four significant digits; "-" where there is no number.
std::string Number(std::optional<double> value);

}  // namespace muster::cli

#endif  // MUSTER_CLI_TABLE_H_
