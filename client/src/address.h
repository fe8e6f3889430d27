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

// Parses HOST:PORT, tls://HOST:PORT or unix:PATH; an IPv6 host stands in
// brackets. False with `*error` set (one line) if `text` is none of them.
bool ParseAddress(const std::string& text, Address* address,
                  std::string* error);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_ADDRESS_H_
