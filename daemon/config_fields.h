// The table behind the configuration: a key is written once, and parsing,
// printing and validation follow from it.
#ifndef MUSTER_DAEMON_CONFIG_FIELDS_H_
#define MUSTER_DAEMON_CONFIG_FIELDS_H_

#include <functional>
#include <string>
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
};

// In the order in which they are printed.
std::vector<ConfigField> ConfigFields();

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_FIELDS_H_
