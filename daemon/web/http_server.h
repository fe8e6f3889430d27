// Serves /metrics, /healthz, /readyz, /api/v1 and an index over HTTP.
#ifndef MUSTER_DAEMON_WEB_HTTP_SERVER_H_
#define MUSTER_DAEMON_WEB_HTTP_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/identity/gate.h"
#include "daemon/web/source.h"

namespace muster::web {

struct HttpServerOptions {
  // A host name or address; a port of 0 takes any free one.
  std::string host = "127.0.0.1";
  int port = 0;
  // Longest wait for the next bytes of a request. Shorter frees the threads of
  // slow clients sooner; longer serves bad networks.
  absl::Duration read_timeout = absl::Seconds(1);
  absl::Duration write_timeout = absl::Seconds(5);
  // All of a request and its answer; ends clients that send or read a byte now
  // and then.
  absl::Duration request_timeout = absl::Seconds(15);
  // How long an idle connection is kept for its next request.
  absl::Duration keep_alive = absl::Seconds(1);
  // For a TLS handshake.
  absl::Duration handshake_timeout = absl::Seconds(5);
  // Connections of one address; more are closed at once.
  int max_per_peer = 256;
  // Connections served at once; more wait. Each costs a thread while it lasts.
  int max_threads = 512;
};

// Owns its threads, which are started on demand, so that slow or idle
// connections never delay another request. Exceptions stay inside: they become
// answers with status 500. Thread-safe.
class HttpServer {
 public:
  // Binds and serves from then on; `source` is called on many threads. A busy
  // port or an unknown host is an error that names the address. Speaks TLS if
  // `gate` says so; null: everybody may read everything. It outlives the
  // server.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Create(
      HttpServerOptions options, Source source, identity::Gate* gate = nullptr);
  // As Stop().
  ~HttpServer();

  // The bound port.
  int port() const;
  // Refuses new connections, finishes the answers that are being written, and
  // joins all threads: a few seconds at most. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_HTTP_SERVER_H_
