#include "daemon/history/columns.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"

namespace muster::history {
namespace {

constexpr uint64_t kNaN = 0x7FF8000000000000;
constexpr uint64_t kAbsent = 0x7FF8000000000001;

// A column is: id, kind, count of values, values. Of kPlain the count is that
// of bytes.
enum Kind : uint8_t {
  kWhole = 1,  // bit: whole numbers, else doubles
  kSame = 2,   // bit: one value, which is all of them
  kHoles = 4,  // bit: a bit map of those that are there, then those
  kPlain = 8,
};

uint64_t BitsOf(double value) { return std::bit_cast<uint64_t>(value); }
uint64_t BitsOf(uint64_t value) { return value; }

}  // namespace

std::string PackDoubles(const std::vector<std::optional<double>>& values) {
  if (std::none_of(values.begin(), values.end(),
                   [](const auto& value) { return value.has_value(); })) {
    return "";
  }
  ByteWriter bytes;
  for (const std::optional<double>& value : values) {
    bytes.Fixed(!value ? kAbsent : std::isnan(*value) ? kNaN : BitsOf(*value));
  }
  return bytes.Take();
}

bool UnpackDoubles(std::string_view bytes, size_t count,
                   std::vector<std::optional<double>>& values) {
  values.assign(count, std::nullopt);
  if (bytes.empty()) return true;
  if (bytes.size() / 8 != count || bytes.size() % 8 != 0) return false;
  ByteReader reader(bytes);
  for (std::optional<double>& value : values) {
    const uint64_t bits = reader.Fixed();
    if (bits != kAbsent) value = std::bit_cast<double>(bits);
  }
  return true;
}

template <typename T, typename Put>
void ColumnWriter::Column(uint8_t id, bool whole,
                          const std::vector<std::optional<T>>& values,
                          Put put) {
  const T* first = nullptr;
  bool holes = false;
  bool same = true;
  for (const std::optional<T>& value : values) {
    holes |= !value;
    if (!value) continue;
    if (first == nullptr) first = &*value;
    same &= BitsOf(*value) == BitsOf(*first);
  }
  if (first == nullptr) return;
  bytes_.Integer(id);
  bytes_.Integer((whole ? kWhole : 0) | (same ? kSame : 0) |
                 (holes ? kHoles : 0));
  bytes_.Integer(values.size());
  if (holes) {
    std::string map((values.size() + 7) / 8, '\0');
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i]) map[i / 8] |= static_cast<char>(1 << i % 8);
    }
    bytes_.Text(map);
  }
  if (same) {
    put(*first);
    return;
  }
  for (const std::optional<T>& value : values) {
    if (value) put(*value);
  }
}

void ColumnWriter::Doubles(uint8_t id,
                           const std::vector<std::optional<double>>& values) {
  Column(id, false, values, [this](double value) { bytes_.Double(value); });
}

void ColumnWriter::Integers(
    uint8_t id, const std::vector<std::optional<uint64_t>>& values) {
  uint64_t last = 0;
  Column(id, true, values, [this, &last](uint64_t value) {
    bytes_.Signed(static_cast<int64_t>(value - last));
    last = value;
  });
}

void ColumnWriter::Bytes(uint8_t id, std::string_view bytes) {
  if (bytes.empty()) return;
  bytes_.Integer(id);
  bytes_.Integer(kPlain);
  bytes_.Text(bytes);
}

absl::StatusOr<ColumnReader> ColumnReader::Parse(std::string_view bytes) {
  ColumnReader parsed;
  parsed.columns_.resize(256);
  ByteReader reader(bytes);
  while (reader.ok() && !reader.empty()) {
    const uint64_t id = reader.Integer();
    const uint64_t kind = reader.Integer();
    if (id > 255 || parsed.columns_[id].count > 0) {
      reader.Fail();
      break;
    }
    Column& column = parsed.columns_[id];
    if (kind == kPlain) {
      column.bytes = reader.Text();
      column.count = column.bytes.size();
      continue;
    }
    const uint64_t count = reader.Integer();
    if (count == 0 || count > kMaxCount || kind > (kWhole | kSame | kHoles)) {
      reader.Fail();
      break;
    }
    column.count = count;
    column.whole = (kind & kWhole) != 0;
    column.same = (kind & kSame) != 0;
    if ((kind & kHoles) != 0) {
      const std::string_view map = reader.Text();
      if (map.size() != (count + 7) / 8) {
        reader.Fail();
        break;
      }
      column.present.resize(count);
      for (size_t i = 0; i < count; ++i) {
        column.present[i] = (map[i / 8] >> i % 8 & 1) != 0;
      }
    }
    const size_t values = column.same ? 1 : count;
    // Each takes a byte at least, of which absent ones are spared.
    if (column.present.empty() && reader.left() < values) reader.Fail();
    uint64_t last = 0;
    for (size_t i = 0; i < values && reader.ok(); ++i) {
      if (!column.same && !column.present.empty() && !column.present[i]) {
        column.bits.push_back(0);
        continue;
      }
      if (column.whole) {
        last += static_cast<uint64_t>(reader.Signed());
        column.bits.push_back(last);
      } else {
        column.bits.push_back(reader.Fixed());
      }
    }
  }
  if (!reader.ok()) return absl::DataLossError("packed columns are damaged");
  return parsed;
}

std::optional<uint64_t> ColumnReader::Bits(uint8_t id, size_t i,
                                           bool whole) const {
  const Column& column = columns_[id];
  if (i >= column.count || column.whole != whole || column.bits.empty()) {
    return std::nullopt;
  }
  if (!column.present.empty() && !column.present[i]) return std::nullopt;
  return column.bits[column.same ? 0 : i];
}

std::optional<double> ColumnReader::Double(uint8_t id, size_t i) const {
  const auto bits = Bits(id, i, false);
  if (!bits) return std::nullopt;
  return std::bit_cast<double>(*bits);
}

std::optional<uint64_t> ColumnReader::Integer(uint8_t id, size_t i) const {
  return Bits(id, i, true);
}

}  // namespace muster::history
