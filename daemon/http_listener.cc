#include "daemon/http_listener.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/config.h"

namespace muster {

absl::StatusOr<HttpListener> ListenOverHttp(const std::string& address,
                                            web::Source source,
                                            identity::Gate& gate) {
  const HostPort wanted = SplitHostPort(address);
  web::HttpServerOptions options;
  options.host = wanted.host;
  options.port = wanted.port;
  auto server = web::HttpServer::Create(options, std::move(source), &gate);
  if (!server.ok()) return server.status();
  const bool is_ipv6 = absl::StrContains(wanted.host, ':');
  const int port = (*server)->port();
  return HttpListener{
      .server = *std::move(server),
      .address = is_ipv6 ? absl::StrCat("[", wanted.host, "]:", port)
                         : absl::StrCat(wanted.host, ":", port)};
}

}  // namespace muster
