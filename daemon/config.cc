#include "daemon/config.h"

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "daemon/config_fields.h"
#include "daemon/config_identity_fields.h"
#include "daemon/config_remote_write_fields.h"

namespace muster {
namespace {

// Applies one YAML document to a configuration, field by field.
class YamlReader {
 public:
  YamlReader(const std::string& name, Config& config)
      : name_(name), config_(config) {}

  // `fields`: what may stand there, by whole keys.
  absl::Status ReadSection(const std::string& prefix, const YAML::Node& node,
                           const std::vector<ConfigField>& fields) {
    if (node.IsNull()) return absl::OkStatus();
    if (!node.IsMap()) {
      return prefix.empty()
                 ? Error(node, "the file must be a map of keys to values")
                 : KeyError(node, prefix, "expected a section with keys");
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        return Error(entry.first, "a key must be plain text");
      }
      const std::string& name = entry.first.Scalar();
      const std::string key = prefix.empty() ? name : prefix + "." + name;
      if (!seen.insert(name).second) {
        return KeyError(entry.first, key, "given twice");
      }
      absl::Status status =
          ReadEntry(key, prefix, entry.first, entry.second, fields);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ReadEntry(const std::string& key, const std::string& prefix,
                         const YAML::Node& name, const YAML::Node& value,
                         const std::vector<ConfigField>& fields) {
    for (const ConfigField& field : fields) {
      if (field.key == key) {
        return field.items.empty() ? ReadField(field, name, value)
                                   : ReadList(field, value);
      }
      if (field.key.starts_with(key + ".")) {
        return ReadSection(key, value, fields);
      }
    }
    return KeyError(name, key,
                    absl::StrCat("no such key; allowed here: ",
                                 absl::StrJoin(KeysIn(prefix, fields), ", ")));
  }

  absl::Status ReadField(const ConfigField& field, const YAML::Node& name,
                         const YAML::Node& value) {
    if (value.IsNull()) {
      return KeyError(name, field.key,
                      absl::StrCat("no value; allowed: ", field.allowed));
    }
    if (field.joins_lists && value.IsSequence()) {
      return ReadJoined(field, value);
    }
    if (!value.IsScalar()) {
      return KeyError(
          value, field.key,
          absl::StrCat("not a single value; allowed: ", field.allowed));
    }
    if (!field.set(value.Scalar(), config_)) {
      const std::string shown = field.shows_value
                                    ? absl::StrCat("'", value.Scalar(), "'")
                                    : std::string("this value");
      return KeyError(
          value, field.key,
          absl::StrCat(shown, " is not allowed; allowed: ", field.allowed));
    }
    return absl::OkStatus();
  }

  absl::Status ReadJoined(const ConfigField& field, const YAML::Node& list) {
    std::vector<std::string> items;
    for (const YAML::Node& item : list) {
      if (!item.IsScalar()) {
        return KeyError(
            item, field.key,
            absl::StrCat("not a single value; allowed: ", field.allowed));
      }
      items.push_back(item.Scalar());
    }
    field.set(absl::StrJoin(items, ", "), config_);
    return absl::OkStatus();
  }

  // A list takes the place of what was there.
  absl::Status ReadList(const ConfigField& field, const YAML::Node& node) {
    if (!node.IsNull() && !node.IsSequence()) {
      return KeyError(node, field.key,
                      absl::StrCat("not a list; allowed: ", field.allowed));
    }
    field.clear(config_);
    for (const YAML::Node& item : node) {
      field.append(config_);
      absl::Status status = ReadSection(field.key, item, field.items);
      if (!status.ok()) return status;
      const std::string error = field.check(config_);
      if (!error.empty()) return KeyError(item, field.key, error);
    }
    return absl::OkStatus();
  }

  // Names that may stand in a section, in the table's order.
  static std::vector<std::string> KeysIn(
      const std::string& prefix, const std::vector<ConfigField>& fields) {
    std::vector<std::string> keys;
    const std::string start = prefix.empty() ? "" : prefix + ".";
    for (const ConfigField& field : fields) {
      if (!field.key.starts_with(start)) continue;
      std::string rest = field.key.substr(start.size());
      rest = rest.substr(0, rest.find('.'));
      if (keys.empty() || keys.back() != rest) keys.push_back(rest);
    }
    return keys;
  }

  absl::Status Error(const YAML::Node& node, const std::string& what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ":", node.Mark().line + 1, ": ", what));
  }

  absl::Status KeyError(const YAML::Node& node, const std::string& key,
                        const std::string& what) const {
    return Error(node, absl::StrCat("key '", key, "': ", what));
  }

  const std::string name_;
  Config& config_;
};

}  // namespace

absl::Status ApplyYaml(const std::string& yaml, const std::string& name,
                       Config& config) {
  Config changed = config;
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(yaml);
    if (documents.size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ":", documents[1].Mark().line + 1,
                       ": only one YAML document is allowed"));
    }
    if (!documents.empty()) {
      absl::Status status = YamlReader(name, changed)
                                .ReadSection("", documents[0], ConfigFields());
      if (!status.ok()) return status;
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(
        name, ":", error.mark.line + 1, ": not valid YAML: ", error.msg));
  }
  // Fields that are good by themselves may contradict each other.
  const std::string error = detect::Validate(changed.detect);
  if (!error.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": detect.", error));
  }
  const std::string remote_write = ValidateRemoteWrite(changed.remote_write);
  if (!remote_write.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": remote_write: ", remote_write));
  }
  const std::string identity = ValidateIdentity(changed.identity);
  if (!identity.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", identity));
  }
  config = changed;
  return absl::OkStatus();
}

absl::Status ApplyYamlFile(const std::string& path, Config& config) {
  std::string reason;
  std::ifstream file(path);
  if (!file) reason = std::strerror(errno);
  // A folder can be opened, but not read.
  if (std::filesystem::is_directory(path)) reason = "it is a folder";
  if (!reason.empty()) {
    return absl::NotFoundError(
        absl::StrCat(path, ": cannot read the configuration: ", reason));
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return ApplyYaml(text, path, config);
}

absl::Status SetField(const std::string& key, const std::string& value,
                      Config& config) {
  for (const ConfigField& field : ConfigFields()) {
    if (field.key != key || !field.items.empty()) continue;
    if (field.set(value, config)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("'", value, "' is not allowed; allowed: ", field.allowed));
  }
  return absl::NotFoundError(absl::StrCat("no such key: ", key));
}

namespace {

// A list's items, whose keys stand at `indent`.
std::string ItemsToYaml(const ConfigField& list, const Config& config,
                        const std::string& indent) {
  std::string yaml;
  for (const Config& item : list.split(config)) {
    std::string start = indent + "- ";
    for (const ConfigField& field : list.items) {
      absl::StrAppend(&yaml, start, field.key.substr(list.key.size() + 1), ": ",
                      field.print(item), "\n");
      start = indent + "  ";
    }
  }
  return yaml;
}

std::string ToYaml(const Config& config,
                   const std::vector<ConfigField>& fields) {
  std::string yaml;
  std::vector<std::string> section;
  for (const ConfigField& field : fields) {
    std::vector<std::string> path = absl::StrSplit(field.key, '.');
    const std::string name = path.back();
    path.pop_back();
    size_t depth = 0;
    while (depth < section.size() && depth < path.size() &&
           section[depth] == path[depth]) {
      ++depth;
    }
    for (; depth < path.size(); ++depth) {
      absl::StrAppend(&yaml, std::string(2 * depth, ' '), path[depth], ":\n");
    }
    section = path;
    const std::string indent(2 * path.size(), ' ');
    absl::StrAppend(&yaml, indent, "# ", field.help,
                    " Allowed: ", field.allowed, ".\n", indent, name, ":");
    if (field.items.empty()) {
      absl::StrAppend(&yaml, " ", field.print(config), "\n");
    } else {
      const std::string items = ItemsToYaml(field, config, indent + "  ");
      absl::StrAppend(&yaml, items.empty() ? " []\n" : "\n", items);
    }
  }
  return yaml;
}

}  // namespace

std::string ToYaml(const Config& config) {
  return ToYaml(config, ConfigFields());
}

std::string ToJudgingYaml(const Config& config) {
  std::vector<ConfigField> fields = ConfigFields();
  std::erase_if(fields, [](const ConfigField& field) {
    return field.key.starts_with("sinks.") ||
           field.key.starts_with("remote_write.");
  });
  return ToYaml(config, fields);
}

absl::Status PrepareDataDir(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data_dir '", path, "': cannot create the folder: ", error.message()));
  }
  // Permission bits say nothing about read-only file systems: write a file.
  std::string probe = path + "/.writable-XXXXXX";
  const int descriptor = ::mkstemp(probe.data());
  if (descriptor < 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "data_dir '", path, "': cannot write there: ", std::strerror(errno)));
  }
  ::close(descriptor);
  ::unlink(probe.c_str());
  return absl::OkStatus();
}

HostPort SplitHostPort(std::string_view address) {
  HostPort parts;
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return parts;
  std::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') {
    host = host.substr(1, host.size() - 2);
  }
  parts.host = std::string(host);
  parts.port = std::atoi(std::string(address.substr(colon + 1)).c_str());
  return parts;
}

std::vector<std::string> SplitAddresses(std::string_view addresses) {
  return absl::StrSplit(std::string(addresses), ',');
}

bool IsLoopback(std::string_view addresses) {
  for (const std::string& address : SplitAddresses(addresses)) {
    if (address.starts_with("unix:")) continue;
    const std::string host = SplitHostPort(address).host;
    if (host != "localhost" && host != "::1" && !host.starts_with("127.")) {
      return false;
    }
  }
  return true;
}

}  // namespace muster
