#include "daemon/sinks/secret.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace muster::sinks {

absl::StatusOr<std::string> ReadSecret(const Secret& secret) {
  const std::string place =
      secret.file.empty()
          ? absl::StrCat("environment variable ", secret.variable)
          : absl::StrCat("file '", secret.file, "'");
  const auto error = [&](const char* what) {
    return absl::FailedPreconditionError(
        absl::StrCat("secret in ", place, " ", what));
  };
  std::string value;
  if (secret.file.empty()) {
    const char* text = std::getenv(secret.variable.c_str());
    if (text == nullptr) return error("is not set");
    value = text;
  } else {
    std::ifstream file(secret.file, std::ios::binary);
    if (!file) return error("cannot be read");
    value.resize(kMaxSecretBytes + 2);
    file.read(value.data(), static_cast<std::streamsize>(value.size()));
    if (file.bad()) return error("cannot be read");
    value.resize(static_cast<size_t>(file.gcount()));
  }
  // What `echo` and editors leave at the end of a file.
  if (value.ends_with('\n')) value.pop_back();
  if (value.ends_with('\r')) value.pop_back();
  if (value.empty()) return error("is empty");
  if (value.size() > kMaxSecretBytes) return error("is too long");
  // A line break would begin another header.
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  };
  if (std::any_of(value.begin(), value.end(), is_control)) {
    return error("holds a control character");
  }
  return value;
}

}  // namespace muster::sinks
