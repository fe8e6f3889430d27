// What is configured of the sinks: docs/sinks.md.
#ifndef MUSTER_DAEMON_SINKS_OPTIONS_H_
#define MUSTER_DAEMON_SINKS_OPTIONS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/sinks/secret.h"

namespace muster::sinks {

// Where to post to, whom to trust there, and who we are.
struct HttpEndpoint {
  // http:// or https://, without user or password (CheckUrl).
  std::string url;
  // Instead of it, where the URL itself is a secret: read at each use.
  Secret url_place;
  // Added to either, such as "/api/v2/alerts"; the URL must have no query then.
  std::string path;
  // PEM: whom to trust behind https; empty: whom the system trusts.
  std::string ca_file;
  // PEM: who we are; both or neither.
  std::string certificate_file;
  std::string key_file;
  // Basic authentication, if not empty; takes `password`.
  std::string username;
  Secret password;
  // Instead of it: "Authorization: Bearer …".
  Secret bearer_token;
  // For one post as a whole. Longer: a slow receiver is not asked twice;
  // shorter: what waits behind it waits less.
  absl::Duration timeout = absl::Seconds(10);
};

struct AlertmanagerOptions {
  // In logs and metrics; by default HOST:PORT of the URL.
  std::string name;
  // The URL is that of its page; the API's path is added.
  HttpEndpoint endpoint;
  // How often it hears of an alert that still fires. Shorter: it resolves
  // sooner what a dead daemon left behind (after four intervals).
  absl::Duration resend_interval = absl::Minutes(1);
};

struct WebhookOptions {
  std::string name;
  HttpEndpoint endpoint;
  // Key of the signature; not set: no signature.
  Secret secret;
  // Changes that wait at most; beyond it the oldest is dropped.
  size_t queue_size = 1024;
  // Pending and observed alerts too, which are told nobody else.
  bool all_states = false;
};

struct SinkOptions {
  // What the links to the daemon's page begin with; empty: no links.
  std::string external_url;
  // Of a run's dashboard, where {run} stands for its name; empty: no link.
  std::string dashboard_url;
  std::vector<AlertmanagerOptions> alertmanagers;
  std::vector<WebhookOptions> webhooks;
};

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_OPTIONS_H_
