// Per-rank values as packed columns: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_COLUMNS_H_
#define MUSTER_DAEMON_HISTORY_COLUMNS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/history/bytes.h"

namespace muster::history {

// Eight bytes a value, little endian IEEE 754: what the views of the schema
// read. A value that is not there is the NaN 0x7FF8000000000001; every other
// NaN becomes 0x7FF8000000000000. Empty if no value is there.
std::string PackDoubles(const std::vector<std::optional<double>>& values);
// False if the size is neither 0 (none is there) nor 8 × count.
bool UnpackDoubles(std::string_view bytes, size_t count,
                   std::vector<std::optional<double>>& values);

// A set of numbered columns, each a list of numbers that may be absent, or
// plain bytes. What is equal for all, or absent for all, takes no room for
// each; whole numbers are kept as differences from the one before. Reading
// passes over numbers that it does not know, so that columns can be added.
class ColumnWriter {
 public:
  // All-absent columns are left out. Each id once, 0 … 255.
  void Doubles(uint8_t id, const std::vector<std::optional<double>>& values);
  void Integers(uint8_t id, const std::vector<std::optional<uint64_t>>& values);
  void Double(uint8_t id, const std::optional<double>& value) {
    Doubles(id, {value});
  }
  // Left out if empty.
  void Bytes(uint8_t id, std::string_view bytes);

  std::string Take() { return bytes_.Take(); }

 private:
  template <typename T, typename Put>
  void Column(uint8_t id, bool whole,
              const std::vector<std::optional<T>>& values, Put put);

  ByteWriter bytes_;
};

class ColumnReader {
 public:
  // Longest column that is read.
  static constexpr size_t kMaxCount = size_t{1} << 20;

  // DATA_LOSS if the bytes are not what ColumnWriter writes.
  static absl::StatusOr<ColumnReader> Parse(std::string_view bytes);

  // Values of a column, 0 if it is left out.
  size_t count(uint8_t id) const { return columns_[id].count; }
  // Absent where it is, where the column is left out, or is of another type.
  std::optional<double> Double(uint8_t id, size_t i = 0) const;
  std::optional<uint64_t> Integer(uint8_t id, size_t i) const;
  // Empty if left out.
  std::string_view Bytes(uint8_t id) const { return columns_[id].bytes; }

 private:
  struct Column {
    size_t count = 0;
    bool whole = false;  // values are whole numbers, else doubles
    bool same = false;   // bits[0] is all of them
    // Raw bits; absent values, where there are any, are false in `present`.
    std::vector<uint64_t> bits;
    std::vector<bool> present;
    std::string_view bytes;
  };
  std::optional<uint64_t> Bits(uint8_t id, size_t i, bool whole) const;

  std::vector<Column> columns_;  // 256
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_COLUMNS_H_
