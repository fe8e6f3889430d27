// What /metrics says of the sinks.
#ifndef MUSTER_DAEMON_EXPORT_SINK_FAMILIES_H_
#define MUSTER_DAEMON_EXPORT_SINK_FAMILIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "prometheus/metric_family.h"

namespace muster::exposition {

// One receiver; docs/metrics.md describes each value.
struct SinkSample {
  std::string sink;
  std::string receiver;
  bool up = true;
  uint64_t held = 0;
  uint64_t sent = 0;
  uint64_t failed = 0;
  uint64_t dropped = 0;
};

// One family for each metric, without samples if there are no sinks.
std::vector<prometheus::MetricFamily> BuildSinkFamilies(
    const std::vector<SinkSample>& sinks);

}  // namespace muster::exposition

#endif  // MUSTER_DAEMON_EXPORT_SINK_FAMILIES_H_
