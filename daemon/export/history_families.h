// What /metrics says of the history.
#ifndef MUSTER_DAEMON_EXPORT_HISTORY_FAMILIES_H_
#define MUSTER_DAEMON_EXPORT_HISTORY_FAMILIES_H_

#include <optional>
#include <vector>

#include "daemon/history/writer.h"
#include "prometheus/metric_family.h"

namespace muster::exposition {

// One family for each metric, without samples if there is no history.
std::vector<prometheus::MetricFamily> BuildHistoryFamilies(
    const std::optional<history::WriterStats>& stats);

}  // namespace muster::exposition

#endif  // MUSTER_DAEMON_EXPORT_HISTORY_FAMILIES_H_
