// Bearer tokens by their digests.
#ifndef MUSTER_DAEMON_IDENTITY_TOKENS_H_
#define MUSTER_DAEMON_IDENTITY_TOKENS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace muster::identity {

// A file of tokens. The tokens themselves are not kept. Immutable.
class Tokens {
 public:
  // `text`: a line NAME: TOKEN for each; blank lines and those that begin with
  // # do not count. A name may stand more than once, so that an old and a new
  // token hold together for a while. NAME: 1 to 64 of A-Z a-z 0-9 . _ -; TOKEN:
  // 16 to 1024 visible characters of ASCII, in quotes or not. An error names
  // the line, never the token.
  static absl::StatusOr<Tokens> Parse(std::string_view text);

  // The name that the token of this digest stands for; empty if for none. Takes
  // the same time whatever the token is.
  std::string NameOf(std::string_view digest) const;

 private:
  struct Entry {
    std::string digest;
    std::string name;
  };

  std::vector<Entry> entries_;
};

// What tokens are kept and compared as: 32 bytes.
std::string DigestOf(std::string_view token);

// The token, or with Basic the password, of a header "Authorization"; empty if
// there is none. With Basic, `*user` is the user's name.
std::string TokenOf(std::string_view authorization, std::string* user);

}  // namespace muster::identity

#endif  // MUSTER_DAEMON_IDENTITY_TOKENS_H_
