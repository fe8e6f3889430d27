// Addresses: which may be configured, and the links that are told to people.
#ifndef MUSTER_DAEMON_SINKS_URL_H_
#define MUSTER_DAEMON_SINKS_URL_H_

#include <string>
#include <string_view>

#include "daemon/alert/alert.h"
#include "daemon/sinks/options.h"

namespace muster::sinks {

// What is wrong with the URL, empty if nothing is. A user or password in it is
// refused, as it would be shown wherever the URL is. The answer never quotes
// the URL.
std::string CheckUrl(std::string_view url);

// "HOST:PORT" of a good URL, or "HOST" if it names no port.
// Scheme, host and port of a good URL, with "/…" for the rest, which may hold a
// secret; the URL itself if there is no more.
std::string ShortenUrl(std::string_view url);
// What follows them; "" or "/" if nothing does.
std::string PathOf(std::string_view url);
std::string HostOf(std::string_view url);

// The run on the daemon's page, at the alert's steps and ranks; empty if there
// is no external_url.
std::string PageLink(const SinkOptions& options, std::string_view run,
                     const alert::Alert& alert);

// The run's dashboard; empty if there is no dashboard_url.
std::string DashboardLink(const SinkOptions& options, std::string_view run);

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_URL_H_
