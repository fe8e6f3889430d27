// Where the daemon listens, as a user writes it.
#ifndef MUSTER_CLIENT_SRC_ADDRESS_H_
#define MUSTER_CLIENT_SRC_ADDRESS_H_

#include <string>

namespace muster {

struct Address {
  enum class Kind { kTcp, kTls, kUnix };
  Kind kind = Kind::kTcp;
  std::string target;  // HOST:PORT, or the path of the socket
};

// Files in PEM form behind a tls:// address, and the token; an empty path is
// none.
struct TlsFiles {
  std::string ca;           // whom to trust; none: the system's authorities
  std::string certificate;  // the client's own chain
  std::string key;          // that belongs to `certificate`

  std::string token;  // read at each connection, so it may be exchanged

  // MUSTER_CA_FILE, MUSTER_CERT_FILE, MUSTER_KEY_FILE and MUSTER_TOKEN_FILE.
  static TlsFiles FromEnvironment();
};

// Parses HOST:PORT, tls://HOST:PORT or unix:PATH; an IPv6 host stands in
// brackets. False with `*error` set (one line) if `text` is none of them.
bool ParseAddress(const std::string& text, Address* address,
                  std::string* error);

// Whether nobody else hears what is said to `address`: TLS, or this machine.
bool KeepsSecrets(const Address& address);

// The token in the file. False with `*error` set (one line, without the token)
// if it cannot be read or is not one word of visible ASCII of ≤ 1024 bytes.
bool ReadToken(const std::string& path, std::string* token, std::string* error);

// HOST:PORT in two; the brackets of an IPv6 host go. Requires: the target of a
// parsed address that is no path.
void SplitTarget(const std::string& target, std::string* host,
                 std::string* port);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_ADDRESS_H_
