#include "client/src/address.h"

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace muster {
namespace {

// Longest path that fits into sockaddr_un.
constexpr size_t kMaxSocketPath = 107;
constexpr size_t kMaxTokenBytes = 1024;

bool IsHostAndPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && host.find_first_of(":[]/ ") != std::string_view::npos) {
    return false;
  }
  uint32_t number = 0;
  const auto [end, code] =
      std::from_chars(port.data(), port.data() + port.size(), number);
  return code == std::errc() && end == port.data() + port.size() &&
         number >= 1 && number <= 65535;
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

TlsFiles TlsFiles::FromEnvironment() {
  return {.ca = Variable("MUSTER_CA_FILE"),
          .certificate = Variable("MUSTER_CERT_FILE"),
          .key = Variable("MUSTER_KEY_FILE"),
          .token = Variable("MUSTER_TOKEN_FILE")};
}

bool ParseAddress(const std::string& text, Address* address,
                  std::string* error) {
  const std::string_view view = text;
  if (view.starts_with("unix:")) {
    *address = {Address::Kind::kUnix, text.substr(5)};
    if (!address->target.empty() && address->target.size() <= kMaxSocketPath) {
      return true;
    }
    *error = "address = \"" + text +
             "\": the path of a unix: address has 1 to 107 bytes";
    return false;
  }
  const bool tls = view.starts_with("tls://");
  *address = {tls ? Address::Kind::kTls : Address::Kind::kTcp,
              tls ? text.substr(6) : text};
  if (IsHostAndPort(address->target)) return true;
  *error = "address = \"" + text +
           "\": must be HOST:PORT, tls://HOST:PORT or unix:PATH, with a port "
           "of 1 to 65535";
  return false;
}

bool KeepsSecrets(const Address& address) {
  if (address.kind != Address::Kind::kTcp) return true;
  std::string host;
  std::string port;
  SplitTarget(address.target, &host, &port);
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

bool ReadToken(const std::string& path, std::string* token,
               std::string* error) {
  char text[kMaxTokenBytes + 3];
  // Not a stream of the C++ library, whose locales would stay in memory.
  std::FILE* const file = std::fopen(path.c_str(), "rbe");
  const size_t count =
      file == nullptr ? 0 : std::fread(text, 1, sizeof(text), file);
  if (file != nullptr) std::fclose(file);
  std::string_view word(text, count);
  while (word.ends_with('\n') || word.ends_with('\r')) word.remove_suffix(1);
  bool visible = !word.empty() && word.size() <= kMaxTokenBytes;
  for (const char c : word) visible = visible && c > 0x20 && c < 0x7F;
  if (visible) {
    *token = word;
    return true;
  }
  *error = "MUSTER_TOKEN_FILE: ";
  *error += count == 0 ? "cannot read " : "no token of one word in ";
  *error += path;
  return false;
}

void SplitTarget(const std::string& target, std::string* host,
                 std::string* port) {
  const size_t colon = target.rfind(':');
  *host = target.substr(0, colon);
  *port = target.substr(colon + 1);
  if (host->size() > 2 && host->front() == '[') {
    *host = host->substr(1, host->size() - 2);
  }
}

}  // namespace muster
