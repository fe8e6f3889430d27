// How one field of each type is parsed, printed and described: internal to the
// table behind the configuration.
#ifndef MUSTER_DAEMON_CONFIG_FIELD_TYPES_H_
#define MUSTER_DAEMON_CONFIG_FIELD_TYPES_H_

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "daemon/config_fields.h"

namespace muster {

// Reaches one member of a configuration, const or not.
#define MUSTER_MEMBER(member) \
  [](auto& config) -> auto& { return config.member; }

inline std::string Print(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return std::string(text, end);
}

inline std::string PrintDuration(absl::Duration value) {
  // FormatDuration writes 0 without a unit.
  if (value == absl::ZeroDuration()) return "0s";
  return absl::FormatDuration(value);
}

inline std::string Quote(const std::string& text) {
  YAML::Emitter emitter;
  emitter << YAML::DoubleQuoted << text;
  return emitter.c_str();
}

template <typename Member>
ConfigField Number(std::string key, std::string help, Member member, double min,
                   double max) {
  ConfigField field{.key = std::move(key), .help = std::move(help)};
  field.allowed = absl::StrCat("a number, ", Print(min), " … ", Print(max));
  field.set = [member, min, max](const std::string& text, Config& config) {
    double value = 0;
    if (!absl::SimpleAtod(text, &value)) return false;
    if (!(value >= min && value <= max)) return false;
    member(config) = value;
    return true;
  };
  field.print = [member](const Config& config) {
    return Print(member(config));
  };
  return field;
}

template <typename Member>
ConfigField Integer(std::string key, std::string help, Member member,
                    int64_t min, int64_t max) {
  ConfigField field{.key = std::move(key), .help = std::move(help)};
  field.allowed = absl::StrCat("a whole number, ", min, " … ", max);
  field.set = [member, min, max](const std::string& text, Config& config) {
    int64_t value = 0;
    if (!absl::SimpleAtoi(text, &value)) return false;
    if (value < min || value > max) return false;
    using Value = std::remove_reference_t<decltype(member(config))>;
    member(config) = static_cast<Value>(value);
    return true;
  };
  field.print = [member](const Config& config) {
    return absl::StrCat(member(config));
  };
  return field;
}

template <typename Member>
ConfigField Duration(std::string key, std::string help, Member member,
                     absl::Duration min, absl::Duration max) {
  ConfigField field{.key = std::move(key), .help = std::move(help)};
  field.allowed = absl::StrCat(
      "a duration with its unit, such as 500ms, 30s "
      "or 2m, ",
      PrintDuration(min), " … ", PrintDuration(max));
  field.set = [member, min, max](const std::string& text, Config& config) {
    absl::Duration value;
    // "0" needs no unit for ParseDuration.
    if (text == "0" || !absl::ParseDuration(text, &value)) return false;
    if (value < min || value > max) return false;
    member(config) = value;
    return true;
  };
  field.print = [member](const Config& config) {
    return PrintDuration(member(config));
  };
  return field;
}

template <typename Member>
ConfigField Text(std::string key, std::string help, Member member,
                 std::string allowed, bool (*good)(std::string_view)) {
  ConfigField field{.key = std::move(key),
                    .help = std::move(help),
                    .allowed = std::move(allowed)};
  field.set = [member, good](const std::string& text, Config& config) {
    if (!good(text)) return false;
    member(config) = text;
    return true;
  };
  field.print = [member](const Config& config) {
    return Quote(member(config));
  };
  return field;
}

template <typename Member, typename Value>
ConfigField Choice(std::string key, std::string help, Member member,
                   std::vector<std::pair<std::string, Value>> choices) {
  ConfigField field{.key = std::move(key), .help = std::move(help)};
  field.allowed = absl::StrCat(
      "one of ",
      absl::StrJoin(choices, ", ", [](std::string* out, const auto& choice) {
        absl::StrAppend(out, choice.first);
      }));
  field.set = [member, choices](const std::string& text, Config& config) {
    for (const auto& [name, value] : choices) {
      if (name != text) continue;
      member(config) = value;
      return true;
    }
    return false;
  };
  field.print = [member, choices](const Config& config) {
    for (const auto& [name, value] : choices) {
      if (value == member(config)) return name;
    }
    return std::string();
  };
  return field;
}

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_FIELD_TYPES_H_
