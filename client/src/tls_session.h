// TLS as bytes in and bytes out.
#ifndef MUSTER_CLIENT_SRC_TLS_SESSION_H_
#define MUSTER_CLIENT_SRC_TLS_SESSION_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "client/src/address.h"

namespace muster {

// The client's end of one TLS connection that carries HTTP/2. Verifies the
// daemon's certificate and that it names the host. OpenSSL is loaded when the
// first of these is made, so that nobody else maps it. Touches no socket.
// Thread-compatible; the transport owns it.
class TlsSession {
 public:
  // For a daemon at `host`, a name or a number. Null with *error set (one line)
  // if OpenSSL is not there or a file is not what it should be.
  static std::unique_ptr<TlsSession> Create(const TlsFiles& files,
                                            const std::string& host,
                                            std::string* error);
  virtual ~TlsSession() = default;

  // Takes bytes from the socket, appends to *text what they say. False with
  // *error set once the connection is of no more use. Advances the handshake,
  // also with no bytes: so it begins.
  virtual bool Receive(std::string_view bytes, std::string* text,
                       std::string* error) = 0;
  // Enciphers `text`. Requires: ready(). False as above.
  virtual bool Send(std::string_view text, std::string* error) = 0;
  // Appends the bytes for the socket.
  virtual void TakeOutput(std::string* output) = 0;

  // The handshake is over, and the daemon is who it should be.
  virtual bool ready() const = 0;
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_TLS_SESSION_H_
