#include "daemon/export/access_families.h"

#include "absl/time/time.h"

namespace muster::exposition {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

std::vector<MetricFamily> BuildAccessFamilies(const AccessSample& access) {
  MetricFamily insecure{"muster_insecure_listener",
                        "1 if other machines reach the listener without TLS.",
                        MetricType::Gauge,
                        {}};
  const auto add = [&insecure](const char* listener, bool is_insecure) {
    ClientMetric& metric = insecure.metric.emplace_back();
    metric.label = {{"listener", listener}};
    metric.gauge.value = is_insecure ? 1 : 0;
  };
  add("grpc", access.grpc_insecure);
  add("http", access.http_insecure);

  MetricFamily denied{"muster_denied_total",
                      "What senders and readers asked for and may not have.",
                      MetricType::Counter,
                      {}};
  for (const auto& [key, count] : access.gate.denied) {
    ClientMetric& metric = denied.metric.emplace_back();
    metric.label = {{"verb", key.first}, {"reason", key.second}};
    metric.counter.value = static_cast<double>(count);
  }

  MetricFamily expires{"muster_certificate_expiry_timestamp_seconds",
                       "When the certificate that is served expires, since "
                       "1970.",
                       MetricType::Gauge,
                       {}};
  if (access.gate.certificate_expires != absl::InfiniteFuture()) {
    expires.metric.emplace_back().gauge.value = static_cast<double>(
        absl::ToUnixSeconds(access.gate.certificate_expires));
  }

  MetricFamily stale{"muster_identity_files_stale",
                     "1 while a file of certificates or tokens is not good, "
                     "and what was read before stays in force.",
                     MetricType::Gauge,
                     {}};
  stale.metric.emplace_back().gauge.value = access.gate.stale ? 1 : 0;

  MetricFamily connections{"muster_connections",
                           "TCP connections to the gRPC addresses that are "
                           "open.",
                           MetricType::Gauge,
                           {}};
  connections.metric.emplace_back().gauge.value =
      static_cast<double>(access.connections.open);

  MetricFamily refused{"muster_connections_refused_total",
                       "TCP connections to the gRPC addresses that were closed "
                       "at once.",
                       MetricType::Counter,
                       {}};
  const auto add_refused = [&refused](const char* reason, uint64_t count) {
    ClientMetric& metric = refused.metric.emplace_back();
    metric.label = {{"reason", reason}};
    metric.counter.value = static_cast<double>(count);
  };
  add_refused("peer", access.connections.refused_peer);
  add_refused("all", access.connections.refused_all);
  add_refused("files", access.connections.refused_files);
  return {insecure, denied, expires, stale, connections, refused};
}

}  // namespace muster::exposition
