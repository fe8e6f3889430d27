#include "daemon/web/parameters.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace muster::web {
namespace {

std::optional<uint64_t> WholeNumber(const std::string& text, uint64_t min,
                                    uint64_t max) {
  uint64_t value = 0;
  if (text.empty() ||
      text.find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(text, &value) || value < min || value > max) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::string Shown(const std::string& text) {
  std::string shown = text.substr(0, 128);
  for (char& c : shown) {
    if (c < ' ' || c > '~') c = '?';
  }
  return shown;
}

ParameterReader::ParameterReader(const Parameters& parameters,
                                 std::initializer_list<const char*> allowed)
    : parameters_(parameters) {
  const std::vector<std::string> names(allowed.begin(), allowed.end());
  for (const auto& [name, value] : parameters) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      Fail(absl::StrCat("unknown parameter '", Shown(name), "'; allowed: ",
                        names.empty() ? "none" : absl::StrJoin(names, ", ")));
    } else if (parameters.count(name) > 1) {
      Fail(absl::StrCat("parameter '", name, "' is given twice"));
    }
  }
}

std::optional<uint64_t> ParameterReader::Number(const std::string& name,
                                                uint64_t max, uint64_t min) {
  const auto found = parameters_.find(name);
  if (found == parameters_.end()) return std::nullopt;
  const auto value = WholeNumber(found->second, min, max);
  if (!value) {
    Fail(absl::StrCat("parameter '", name, "' is '", Shown(found->second),
                      "'; allowed: a whole number, ", min, " … ", max));
  }
  return value.value_or(min);
}

std::vector<uint32_t> ParameterReader::Numbers(const std::string& name,
                                               size_t most, uint32_t max) {
  std::vector<uint32_t> numbers;
  const auto found = parameters_.find(name);
  if (found == parameters_.end()) return numbers;
  for (const std::string& part : std::vector<std::string>(
           absl::StrSplit(found->second, absl::MaxSplits(',', most)))) {
    const auto value = WholeNumber(part, 0, max);
    if (!value || numbers.size() == most) {
      Fail(absl::StrCat("parameter '", name, "' is '", Shown(found->second),
                        "'; allowed: at most ", most, " whole numbers, 0 … ",
                        max, ", with commas between"));
      return numbers;
    }
    numbers.push_back(static_cast<uint32_t>(*value));
  }
  return numbers;
}

bool ParameterReader::Flag(const std::string& name) {
  const auto found = parameters_.find(name);
  if (found == parameters_.end() || found->second == "0") return false;
  if (found->second != "1") {
    Fail(absl::StrCat("parameter '", name, "' is '", Shown(found->second),
                      "'; allowed: 0, 1"));
  }
  return true;
}

std::string ParameterReader::Text(const std::string& name) const {
  const auto found = parameters_.find(name);
  return found == parameters_.end() ? "" : found->second;
}

void ParameterReader::Fail(std::string error) {
  if (error_.empty()) error_ = std::move(error);
}

}  // namespace muster::web
