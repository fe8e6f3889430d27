// What Prometheus scrapes of a relay. docs/relay.md describes each metric.
#ifndef MUSTER_DAEMON_EXPORT_RELAY_FAMILIES_H_
#define MUSTER_DAEMON_EXPORT_RELAY_FAMILIES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/export/access_families.h"
#include "daemon/export/process_families.h"
#include "daemon/relay/stats.h"
#include "prometheus/metric_family.h"

namespace muster::exposition {

struct RelayScrape {
  relay::Stats relay;
  absl::Time now;
  // What the relay itself has refused, by reason.
  std::map<std::string, uint64_t> rejected;
  AccessSample access;
  ProcessStats process;
  std::string version;
};

// One family for each metric, in the order of docs/relay.md, families without a
// sample included.
std::vector<prometheus::MetricFamily> BuildRelayFamilies(
    const RelayScrape& scrape);

// The text exposition format of it, families without a sample left out.
std::string RelayMetricsText(const RelayScrape& scrape);

}  // namespace muster::exposition

#endif  // MUSTER_DAEMON_EXPORT_RELAY_FAMILIES_H_
