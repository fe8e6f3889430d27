#include "daemon/alert/json.h"

#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "daemon/detect/text.h"

namespace muster::alert {
namespace {

// Length in bytes of the well-formed UTF-8 character at the start of `text`,
// 0 if there is none (RFC 3629: no overlong forms, no surrogates).
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  size_t length = 0;
  unsigned char low = 0x80;  // range of the second byte
  unsigned char high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string JsonText(std::string_view text, size_t bytes) {
  const std::string bounded = detect::Shorten(text, bytes);
  text = bounded;
  std::string out = "\"";
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const unsigned char first = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      out += "\\ufffd";
    } else if (first == '"' || first == '\\') {
      out += '\\';
      out += text[0];
    } else if (first < 0x20 || first == 0x7F) {
      absl::StrAppend(&out, "\\u", absl::Hex(first, absl::kZeroPad4));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out + '"';
}

std::string JsonNumber(double value) {
  if (!std::isfinite(value)) return "null";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, end.ptr);
}

std::string JsonRanks(const std::vector<uint32_t>& ranks) {
  std::string out = "[";
  for (size_t i = 0; i < ranks.size() && i < kJsonRanks; ++i) {
    absl::StrAppend(&out, i == 0 ? "" : ",", ranks[i]);
  }
  return out + ']';
}

}  // namespace muster::alert
