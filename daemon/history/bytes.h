// Plain values as bytes, little endian: internal to this room.
#ifndef MUSTER_DAEMON_HISTORY_BYTES_H_
#define MUSTER_DAEMON_HISTORY_BYTES_H_

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"

namespace muster::history {

// Small numbers take few bytes (base 128, least significant group first).
class ByteWriter {
 public:
  void Byte(uint32_t value) { bytes_.push_back(static_cast<char>(value)); }
  void Integer(uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_.push_back(static_cast<char>(value | 0x80));
    }
    bytes_.push_back(static_cast<char>(value));
  }
  // Small magnitudes take few bytes, whatever their sign.
  void Signed(int64_t value) {
    Integer(static_cast<uint64_t>(value) << 1 ^
            static_cast<uint64_t>(value >> 63));
  }
  void Fixed(uint64_t value) {
    for (int i = 0; i < 8; ++i) {
      bytes_.push_back(static_cast<char>(value >> 8 * i));
    }
  }
  // All bits are kept.
  void Double(double value) { Fixed(std::bit_cast<uint64_t>(value)); }
  void Text(std::string_view text) {
    Integer(text.size());
    bytes_.append(text);
  }
  // Whole nanoseconds.
  void Duration(absl::Duration value) {
    Signed(absl::ToInt64Nanoseconds(value));
  }
  // Whole nanoseconds; times further off than 1678 or 2262 become
  // InfinitePast.
  void Time(absl::Time value) { Signed(absl::ToUnixNanos(value)); }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what ByteWriter wrote. After anything that cannot be read, all reads
// give 0 or nothing and ok() is false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool empty() const { return bytes_.empty(); }
  size_t left() const { return bytes_.size(); }

  uint64_t Byte() {
    if (bytes_.empty()) return Fail();
    const auto byte = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }

  uint64_t Integer() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint64_t byte = Byte();
      value |= (byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return ok_ ? value : 0;
    }
    return Fail();
  }
  int64_t Signed() {
    const uint64_t value = Integer();
    return static_cast<int64_t>(value >> 1 ^ (~(value & 1) + 1));
  }
  uint64_t Fixed() {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value |= Byte() << 8 * i;
    return ok_ ? value : 0;
  }
  double Double() { return std::bit_cast<double>(Fixed()); }
  std::string_view Text() { return Take(Integer()); }
  std::string_view Take(uint64_t size) {
    if (size > bytes_.size()) {
      Fail();
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  // How many elements follow, each of at least one byte.
  uint64_t Count() {
    const uint64_t count = Integer();
    return count <= bytes_.size() ? count : Fail();
  }
  absl::Duration Duration() { return absl::Nanoseconds(Signed()); }
  absl::Time Time() {
    const int64_t nanos = Signed();
    return nanos == INT64_MIN ? absl::InfinitePast()
                              : absl::FromUnixNanos(nanos);
  }
  uint64_t Fail() {
    ok_ = false;
    bytes_ = {};
    return 0;
  }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace muster::history

#endif  // MUSTER_DAEMON_HISTORY_BYTES_H_
