#include "client/src/facts.h"

#include <cstdint>
#include <string_view>

namespace muster {
namespace {

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    size_t length = 1;
    if (lead >= 0xC2 && lead <= 0xDF) {
      length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      length = 3;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
    } else if (lead >= 0x80) {
      return false;
    }
    if (text.size() - i < length) return false;
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<uint8_t>(text[i + k]);
      uint8_t low = 0x80;
      uint8_t high = 0xBF;
      if (k == 1) {
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
      }
      if (next < low || next > high) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace

std::string ValidateFacts(const Facts& facts) {
  if (facts.size() > kMaxFacts) {
    return "facts: " + std::to_string(facts.size()) +
           " of them; at most 64 are allowed";
  }
  for (const auto& [name, fact] : facts) {
    if (name.empty() || name.size() > kMaxFactNameBytes) {
      return "fact \"" + name.substr(0, kMaxFactNameBytes) + "\": name of " +
             std::to_string(name.size()) + " bytes; must have 1 to 64";
    }
    if (fact.value.size() > kMaxFactValueBytes) {
      return "fact \"" + name + "\": value of " +
             std::to_string(fact.value.size()) +
             " bytes; must have at most 256";
    }
    if (!IsUtf8(name) || !IsUtf8(fact.value)) {
      return "fact \"" + name + "\": name and value must be UTF-8";
    }
  }
  return "";
}

}  // namespace muster
