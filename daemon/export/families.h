// What Prometheus scrapes, built from snapshots at the moment of the scrape:
// nothing is registered, so nothing can leak or go stale. docs/metrics.md
// describes each metric.
#ifndef MUSTER_DAEMON_EXPORT_FAMILIES_H_
#define MUSTER_DAEMON_EXPORT_FAMILIES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/export/access_families.h"
#include "daemon/export/process_families.h"
#include "daemon/export/sink_families.h"
#include "daemon/history/writer.h"
#include "daemon/runs/snapshot.h"
#include "daemon/sinks/remote_write/stats.h"
#include "prometheus/metric_family.h"

// `export` is a keyword.
namespace muster::exposition {

// What one scrape shows.
struct Scrape {
  // Never null elements. A run that ended `keep_ended` ago has no series.
  std::vector<std::shared_ptr<const runs::RunSnapshot>> runs;
  frames::Instant now;
  absl::Duration keep_ended;
  // Refused messages by reason.
  std::map<std::string, uint64_t> rejected;
  // Absent if there is no history.
  std::optional<history::WriterStats> history;
  // One for each receiver of a sink.
  std::vector<SinkSample> sinks;
  // Absent if it is not configured.
  std::optional<sinks::remote_write::Stats> remote_write;
  AccessSample access;
  ProcessStats process;
  // Version of the daemon.
  std::string version;
};

// One family for each metric, in the order of docs/metrics.md, families without
// a sample included. A value that is absent or not finite has no sample.
std::vector<prometheus::MetricFamily> BuildFamilies(const Scrape& scrape);

// The text exposition format (text/plain; version=0.0.4) of BuildFamilies,
// families without a sample left out.
std::string MetricsText(const Scrape& scrape);

}  // namespace muster::exposition

#endif  // MUSTER_DAEMON_EXPORT_FAMILIES_H_
