// One connection over TLS as httplib sees it.
#ifndef MUSTER_DAEMON_WEB_TLS_STREAM_H_
#define MUSTER_DAEMON_WEB_TLS_STREAM_H_

#include <memory>
#include <string>
#include <vector>

#include "daemon/base/mutex.h"
#include "daemon/identity/gate.h"
#include "daemon/web/socket_stream.h"

struct ssl_st;
struct ssl_ctx_st;

namespace muster::web {

// What new connections begin with: the gate's certificate as it is then.
// Thread-safe.
class TlsContext {
 public:
  // `gate` has TLS, and outlives it.
  explicit TlsContext(const identity::Gate& gate) : gate_(gate) {}

  // Null if OpenSSL will not have what the gate has.
  std::shared_ptr<ssl_ctx_st> Current();

 private:
  const identity::Gate& gate_;
  Mutex mutex_;
  std::shared_ptr<const identity::ServerTls> made_of_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<ssl_ctx_st> context_ ABSL_GUARDED_BY(mutex_);
};

// As SocketStream. A certificate is asked for where the gate knows whose to
// trust, and may be left out: health is for everybody.
class TlsStream : public SocketStream {
 public:
  TlsStream(std::shared_ptr<ssl_ctx_st> context, int descriptor,
            absl::Duration read_timeout, absl::Duration write_timeout);
  ~TlsStream() override;

  // False if it fails or takes longer; then the stream is of no use.
  bool Handshake(absl::Duration timeout);
  // Subject alternative names of the client's certificate, which is verified.
  std::vector<std::string> CertificateNames() const;

  bool WaitForRequest(absl::Duration timeout) const override;
  bool is_readable() const override;
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;

 private:
  // Calls `step` until it is done; its result, or −1.
  template <typename Step>
  int Drive(const Step& step);

  const std::shared_ptr<ssl_ctx_st> context_;
  ssl_st* const ssl_;
};

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_TLS_STREAM_H_
