#include "client/src/facts.h"

#include "client/src/utf8.h"

namespace muster {
namespace {

bool IsText(const std::string& text) {
  return IsUtf8(text) && text.find('\0') == std::string::npos;
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
    if (!IsText(name) || !IsText(fact.value)) {
      return "fact \"" + name + "\": name and value must be UTF-8 without NUL";
    }
  }
  return "";
}

}  // namespace muster
