// How remote write fares, as metrics.
#ifndef MUSTER_DAEMON_EXPORT_REMOTE_WRITE_FAMILIES_H_
#define MUSTER_DAEMON_EXPORT_REMOTE_WRITE_FAMILIES_H_

#include <optional>
#include <vector>

#include "daemon/sinks/remote_write/stats.h"
#include "prometheus/metric_family.h"

namespace muster::exposition {

// Appends one family for each metric, without samples if there are no `stats`.
void AppendRemoteWrite(const std::optional<sinks::remote_write::Stats>& stats,
                       std::vector<prometheus::MetricFamily>& families);

}  // namespace muster::exposition

#endif  // MUSTER_DAEMON_EXPORT_REMOTE_WRITE_FAMILIES_H_
