// What /metrics says of the daemon's own process, under the names that
// Prometheus' client libraries use.
#ifndef MUSTER_DAEMON_EXPORT_PROCESS_FAMILIES_H_
#define MUSTER_DAEMON_EXPORT_PROCESS_FAMILIES_H_

#include <optional>
#include <vector>

#include "prometheus/metric_family.h"

namespace muster::exposition {

// Absent is what the system does not tell.
struct ProcessStats {
  std::optional<double> start_time_seconds;  // since 1970
  std::optional<double> cpu_seconds;         // user and system
  std::optional<double> resident_memory_bytes;
  std::optional<double> virtual_memory_bytes;
  std::optional<double> threads;
  std::optional<double> open_fds;
  std::optional<double> max_fds;
};

// This process now, out of /proc.
ProcessStats ReadProcessStats();

// One family for each metric, without a sample if its value is absent.
std::vector<prometheus::MetricFamily> BuildProcessFamilies(
    const ProcessStats& stats);

}  // namespace muster::exposition

#endif  // MUSTER_DAEMON_EXPORT_PROCESS_FAMILIES_H_
