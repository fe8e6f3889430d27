#include "daemon/web/http_server.h"

#include <httplib.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/base/mutex.h"
#include "daemon/web/elastic_task_queue.h"
#include "daemon/web/front_door.h"
#include "daemon/web/gzip.h"
#include "daemon/web/index.h"
#include "daemon/web/routes.h"
#include "daemon/web/socket.h"
#include "daemon/web/socket_stream.h"
#include "daemon/web/tls_stream.h"

namespace muster::web {
namespace {

constexpr int kMaxRequestsPerConnection = 1000;
// Nobody has reason to send a body.
constexpr size_t kMaxBodyBytes = 8192;

bool IsRead(const std::string& method) {
  return method == "GET" || method == "HEAD";
}

void Write(const Reply& reply, httplib::Response& response) {
  response.status = reply.status;
  response.set_content(reply.body, reply.content_type);
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Referrer-Policy", "no-referrer");
  // Numbers of a moment; what may be kept says so.
  if (reply.headers.empty()) response.set_header("Cache-Control", "no-store");
  for (const auto& [name, value] : reply.headers) {
    response.set_header(name.c_str(), value);
  }
}

// Where the encodings that the client accepts are kept from httplib, which
// compresses even what is compressed already, and at levels that take longer
// than all else of an answer.
constexpr char kAccepts[] = "Muster-Accept-Encoding";

void HideEncodings(httplib::Request& request) {
  const std::string accepts = request.get_header_value("Accept-Encoding");
  request.headers.erase("Accept-Encoding");
  request.headers.erase(kAccepts);
  request.headers.emplace(kAccepts, accepts);
}

// Where the names of the client's certificate are kept for VisitorOf.
constexpr char kCertificate[] = "Muster-Certificate";

void NoteCertificate(httplib::Request& request,
                     const std::vector<std::string>& names) {
  request.headers.erase(kCertificate);
  for (const std::string& name : names) {
    request.headers.emplace(kCertificate, name);
  }
}

Visitor VisitorOf(const httplib::Request& request) {
  Visitor visitor{.certificate_names = {},
                  .authorization = request.get_header_value("Authorization"),
                  .address = request.remote_addr};
  const auto [first, last] = request.headers.equal_range(kCertificate);
  for (auto it = first; it != last; ++it) {
    visitor.certificate_names.push_back(it->second);
  }
  return visitor;
}

bool SpeaksTls(const identity::Gate* gate) {
  return gate != nullptr && gate->tls() != nullptr && gate->tls_options().http;
}

// Packs what is worth it. The page packs itself.
void Pack(const std::string& accepts, httplib::Response& response) {
  constexpr size_t kWorthIt = 1024;
  if (response.body.size() < kWorthIt ||
      response.has_header("Content-Encoding") || !AcceptsGzip(accepts)) {
    return;
  }
  std::string packed = Gzip(response.body);
  if (packed.empty()) return;
  response.body = std::move(packed);
  response.set_header("Content-Encoding", "gzip");
  response.set_header("Vary", "Accept-Encoding");
}

// httplib's parser and writer, without its listener, threads and router (which
// matches paths by recursive regular expressions).
class Engine : public httplib::Server {
 public:
  // `gate` may be null.
  Engine(const Source& source, identity::Gate* gate,
         absl::Duration keep_alive) {
    set_payload_max_length(kMaxBodyBytes);
    // What the header Keep-Alive says.
    set_keep_alive_max_count(kMaxRequestsPerConnection);
    set_keep_alive_timeout(absl::ToInt64Seconds(keep_alive));
    set_pre_routing_handler([&source, gate](const httplib::Request& request,
                                            httplib::Response& response) {
      if (!IsRead(request.method)) return HandlerResponse::Unhandled;
      const RequestHeaders headers{
          .accept_encoding = request.get_header_value(kAccepts),
          .if_none_match = request.get_header_value("If-None-Match")};
      Write(gate == nullptr
                ? Answer(source, request.path, request.params, headers)
                : AnswerAtDoor(*gate, VisitorOf(request), source, request.path,
                               request.params, headers),
            response);
      Pack(headers.accept_encoding, response);
      return HandlerResponse::Handled;
    });
    set_exception_handler([](const httplib::Request&,
                             httplib::Response& response,
                             const std::exception_ptr&) {
      Write(ErrorReply(500, "internal error"), response);
    });
    set_error_handler(
        [](const httplib::Request& request, httplib::Response& response) {
          if (!request.path.empty() && !IsRead(request.method)) {
            response.set_header("Allow", "GET, HEAD");
            Write(ErrorReply(405, "only GET and HEAD are allowed"), response);
          } else if (response.body.empty()) {
            Write(ErrorReply(response.status, "malformed request"), response);
          }
        });
  }

  // Reads one request and answers it; false if the connection has to end.
  // `certificate_names`: of the client, proved.
  bool Serve(SocketStream& stream,
             const std::vector<std::string>& certificate_names, bool last) {
    bool closed = false;
    // Only after a well-formed request is it known where the next one begins.
    bool reusable = false;
    const bool good =
        process_request(stream, last, closed, [&](httplib::Request& request) {
          HideEncodings(request);
          NoteCertificate(request, certificate_names);
          reusable = IsRead(request.method) &&
                     !request.has_header("Content-Length") &&
                     !request.has_header("Transfer-Encoding");
          if (reusable) return;
          request.headers.erase("Connection");
          request.set_header("Connection", "close");
        });
    return good && !closed && reusable && !last;
  }
};

}  // namespace

class HttpServer::Impl {
 public:
  Impl(HttpServerOptions options, Source source, identity::Gate* gate,
       Socket listener)
      : options_(std::move(options)),
        source_(std::move(source)),
        port_(BoundPort(listener)),
        listener_(std::move(listener)),
        tls_(SpeaksTls(gate) ? std::make_unique<TlsContext>(*gate) : nullptr),
        engine_(source_, gate, options_.keep_alive),
        queue_(options_.max_threads),
        acceptor_([this] { AcceptAll(); }) {}

  ~Impl() { Stop(); }

  int port() const { return port_; }

  void Stop() {
    if (stopping_.exchange(true)) return;
    // Wakes accept().
    ::shutdown(listener_.descriptor(), SHUT_RDWR);
    acceptor_.join();
    {
      // Ends what is being read or idle; answers are still written.
      MutexLock lock(mutex_);
      for (const auto& [open, peer] : open_) ::shutdown(open, SHUT_RD);
    }
    queue_.Shutdown();
  }

 private:
  void AcceptAll() {
    while (!stopping_) {
      Socket accepted(::accept4(listener_.descriptor(), nullptr, nullptr,
                                SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (accepted.descriptor() < 0) {
        // Out of descriptors or memory: others may give some back.
        if (errno != EINTR && errno != ECONNABORTED && !stopping_) {
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        continue;
      }
      Admit(std::move(accepted));
    }
  }

  void Admit(Socket accepted) {
    std::string peer = PeerAddress(accepted.descriptor());
    {
      MutexLock lock(mutex_);
      // Waiting connections cost descriptors that ranks need: shed the load.
      if (open_.size() >= 2 * static_cast<size_t>(options_.max_threads)) return;
      int& of_peer = peers_[peer];
      if (of_peer >= options_.max_per_peer) return;
      ++of_peer;
      open_.emplace(accepted.descriptor(), std::move(peer));
    }
    auto connection = std::make_shared<Socket>(std::move(accepted));
    queue_.Enqueue([this, connection] { ServeConnection(*connection); });
  }

  void ServeConnection(Socket& connection) {
    const int descriptor = connection.descriptor();
    // Header and body are two writes; the second must not wait for an answer.
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    try {
      if (tls_) {
        TlsStream stream(tls_->Current(), descriptor, options_.read_timeout,
                         options_.write_timeout);
        if (stream.Handshake(options_.handshake_timeout)) {
          ServeRequests(stream, stream.CertificateNames());
        }
      } else {
        SocketStream stream(descriptor, options_.read_timeout,
                            options_.write_timeout);
        ServeRequests(stream, {});
      }
    } catch (const std::exception&) {
      // Out of memory, most likely: this connection ends, others go on.
    }
    MutexLock lock(mutex_);
    const auto found = open_.find(descriptor);
    const auto peer = peers_.find(found->second);
    if (--peer->second == 0) peers_.erase(peer);
    open_.erase(found);
  }

  void ServeRequests(SocketStream& stream,
                     const std::vector<std::string>& certificate_names) {
    for (int i = 1; i <= kMaxRequestsPerConnection; ++i) {
      if (!stream.WaitForRequest(i == 1 ? options_.read_timeout
                                        : options_.keep_alive)) {
        break;
      }
      stream.StartRequest(options_.request_timeout);
      const bool last = i == kMaxRequestsPerConnection || stopping_;
      if (!engine_.Serve(stream, certificate_names, last)) break;
    }
  }

  const HttpServerOptions options_;
  const Source source_;
  const int port_;
  const Socket listener_;
  const std::unique_ptr<TlsContext> tls_;  // null: in the clear
  Engine engine_;
  ElasticTaskQueue queue_;
  std::atomic<bool> stopping_ = false;
  Mutex mutex_;
  // Descriptors, and the addresses at their other ends.
  std::map<int, std::string> open_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> peers_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;  // last: it uses all of the above
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() = default;

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Create(
    HttpServerOptions options, Source source, identity::Gate* gate) {
  absl::StatusOr<Socket> listener = ListenOn(options.host, options.port);
  if (!listener.ok()) return listener.status();
  return std::unique_ptr<HttpServer>(new HttpServer(std::make_unique<Impl>(
      std::move(options), std::move(source), gate, *std::move(listener))));
}

int HttpServer::port() const { return impl_->port(); }

void HttpServer::Stop() { impl_->Stop(); }

}  // namespace muster::web
