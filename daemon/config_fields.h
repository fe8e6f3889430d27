// The table behind the configuration: a key is written once, and parsing,
// printing and validation follow from it.
#ifndef MUSTER_DAEMON_CONFIG_FIELDS_H_
#define MUSTER_DAEMON_CONFIG_FIELDS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config.h"

namespace muster {

struct ConfigField {
  // Dotted key, such as "detect.rank_outlier.margin". Keys of one section
  // stand together.
  std::string key;
  // One line for the reader of the YAML.
  std::string help;
  // What may be given, such as "a number, 0 … 10".
  std::string allowed;
  // False, with the configuration unchanged, if `text` is not allowed.
  std::function<bool(const std::string& text, Config& config)> set;
  // The value as a YAML scalar that `set` takes back.
  std::function<std::string(const Config& config)> print;
  // Whether a value that is not allowed may be shown: not where one would put
  // a secret by mistake.
  bool shows_value = true;
  // Whether a YAML list of scalars may be given: its items, with commas between
  // them.
  bool joins_lists = false;

  // Of a list alone, which has neither `set` nor `print`: keys of one item,
  // whose `set` and `print` mean the last one there is.
  std::vector<ConfigField> items;
  std::function<void(Config& config)> clear;
  std::function<void(Config& config)> append;
  // Looks at the last item when all of it is set; says what is wrong with it,
  // empty if nothing is.
  std::function<std::string(Config& config)> check;
  // For each item a configuration that has it alone.
  std::function<std::vector<Config>(const Config& config)> split;
};

// HOST:PORT, or unix:PATH of at most 107 bytes.
bool IsGrpcAddress(std::string_view text);

// In the order in which they are printed.
std::vector<ConfigField> ConfigFields();

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_FIELDS_H_
