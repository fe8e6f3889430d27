// One POST at a time to one address: what every sink that speaks HTTP is
// built on.
#ifndef MUSTER_DAEMON_SINKS_HTTP_CLIENT_H_
#define MUSTER_DAEMON_SINKS_HTTP_CLIENT_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/sinks/options.h"

namespace muster::sinks {

struct HttpResponse {
  int status = 0;  // such as 200; redirections are not followed
  // Of the body, at most 200 bytes of printable ASCII; '?' for others.
  std::string first_line;
  // With 429 or 503: how long it asks to be left alone (Retry-After, seconds or
  // a date), at most kLongestRetryAfter. Zero: it does not say.
  absl::Duration retry_after = absl::ZeroDuration();
};

// So that a receiver cannot silence us for long by mistake.
inline constexpr absl::Duration kLongestRetryAfter = absl::Minutes(5);

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// Keeps its connection between posts. A proxy is taken from the environment
// (http_proxy, https_proxy, no_proxy). Post() by one thread at a time; Cancel()
// by any. Owned by a sink.
class HttpClient {
 public:
  explicit HttpClient(HttpEndpoint endpoint);
  ~HttpClient();

  // Blocks until the answer is there. An answer of any status is OK; without
  // one: UNAVAILABLE (not reached, broken off, TLS failed), DEADLINE_EXCEEDED
  // after `timeout`, which is for all together, name look-up included;
  // CANCELLED; FAILED_PRECONDITION if a secret or a certificate cannot be read,
  // or the URL that lies elsewhere is none. Messages and first lines have
  // neither secrets nor the URL's path.
  absl::StatusOr<HttpResponse> Post(std::string_view body,
                                    const HttpHeaders& headers,
                                    absl::Duration timeout);

  // Ends the post that waits, and all after it, with CANCELLED.
  void Cancel();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_HTTP_CLIENT_H_
