// What is configured of remote write: docs/remote_write.md.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_OPTIONS_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_OPTIONS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "daemon/sinks/http_client.h"

namespace muster::sinks::remote_write {

// Names and values, by name.
using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Options {
  // Its URL is empty: nothing is sent.
  HttpEndpoint endpoint;
  // For one request as a whole.
  absl::Duration timeout = absl::Seconds(10);
  // Sent with each request, such as a tenant's name. No secrets.
  Pairs headers;
  // Labels of all series; not "__name__", "run" or "rank".
  Pairs external_labels;
  // Ranks have series of their own in runs of at most so many; 0: none have.
  uint32_t max_ranks = 0;
  // Memory for steps that wait to be sent, and for those of `resend`, which
  // take at most half of it.
  int64_t queue_bytes = int64_t{64} << 20;
  // How long a step waits to be sent with those after it. Longer: fewer
  // requests; shorter: sooner seen.
  absl::Duration interval = absl::Seconds(1);
  // Samples in one request, at most; a step is never divided.
  int64_t batch_samples = 5000;
  // What was delivered in so long before the receiver failed is sent again when
  // it is back: for receivers that answer before they have stored.
  absl::Duration resend = absl::ZeroDuration();
};

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_OPTIONS_H_
