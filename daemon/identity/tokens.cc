#include "daemon/identity/tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace muster::identity {
namespace {

constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMinTokenBytes = 16;
constexpr size_t kMaxTokenBytes = 1024;

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  absl::StrContains("._-", c);
         });
}

bool IsToken(absl::string_view text) {
  return text.size() >= kMinTokenBytes && text.size() <= kMaxTokenBytes &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > 0x20 && c < 0x7F; });
}

absl::string_view Unquoted(absl::string_view text) {
  for (const char* quote : {"\"", "'"}) {
    absl::string_view inner = text;
    if (absl::ConsumePrefix(&inner, quote) &&
        absl::ConsumeSuffix(&inner, quote)) {
      return inner;
    }
  }
  return text;
}

}  // namespace

absl::StatusOr<Tokens> Tokens::Parse(std::string_view text) {
  Tokens tokens;
  int number = 0;
  const auto error = [&number](const char* what) {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", number, ": ", what));
  };
  for (absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos) return error("expected NAME: TOKEN");
    const auto name = absl::StripTrailingAsciiWhitespace(line.substr(0, colon));
    if (!IsName(name)) {
      return error("a name has 1 to 64 of A-Z a-z 0-9 . _ -");
    }
    const auto token =
        Unquoted(absl::StripLeadingAsciiWhitespace(line.substr(colon + 1)));
    if (!IsToken(token)) {
      return error(
          "a token has 16 to 1024 visible characters of ASCII, no blanks");
    }
    std::string digest = DigestOf({token.data(), token.size()});
    for (const Entry& other : tokens.entries_) {
      if (other.digest == digest && other.name != name) {
        return error("the same token has another name already");
      }
    }
    tokens.entries_.push_back({std::move(digest), std::string(name)});
  }
  if (tokens.entries_.empty()) {
    return absl::InvalidArgumentError("there is no token in it");
  }
  return tokens;
}

std::string Tokens::NameOf(std::string_view digest) const {
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (entry.digest.size() == digest.size() &&
        CRYPTO_memcmp(entry.digest.data(), digest.data(), digest.size()) == 0) {
      found = &entry;
    }
  }
  return found == nullptr ? "" : found->name;
}

std::string DigestOf(std::string_view token) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::string TokenOf(std::string_view authorization, std::string* user) {
  const absl::string_view header(authorization.data(), authorization.size());
  const size_t blank = header.find(' ');
  if (blank == absl::string_view::npos) return "";
  const absl::string_view scheme = header.substr(0, blank);
  const auto rest = absl::StripAsciiWhitespace(header.substr(blank));
  if (absl::EqualsIgnoreCase(scheme, "bearer")) return std::string(rest);
  std::string pair;
  if (!absl::EqualsIgnoreCase(scheme, "basic") ||
      !absl::Base64Unescape(rest, &pair)) {
    return "";
  }
  const size_t colon = pair.find(':');
  if (colon == std::string::npos) return "";
  *user = pair.substr(0, colon);
  return pair.substr(colon + 1);
}

}  // namespace muster::identity
