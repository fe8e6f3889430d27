#include "daemon/export/remote_write_families.h"

#include <string>

namespace muster::exposition {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily& Append(const char* name, const char* help, MetricType type,
                     std::vector<MetricFamily>& families) {
  return families.emplace_back(MetricFamily{name, help, type, {}});
}

}  // namespace

void AppendRemoteWrite(const std::optional<sinks::remote_write::Stats>& stats,
                       std::vector<MetricFamily>& families) {
  const auto gauge = [&](const char* name, const char* help, bool known,
                         double value) {
    MetricFamily& family = Append(name, help, MetricType::Gauge, families);
    if (known) family.metric.emplace_back().gauge.value = value;
  };
  const auto s = stats.value_or(sinks::remote_write::Stats());
  gauge("muster_remote_write_up",
        "1 while the receiver answers, 0 while requests are tried again.",
        stats.has_value(), s.up ? 1 : 0);
  MetricFamily& samples =
      Append("muster_remote_write_samples_total",
             "Samples by what became of them.", MetricType::Counter, families);
  if (stats) {
    const std::pair<const char*, uint64_t> results[] = {{"sent", s.sent},
                                                        {"present", s.present},
                                                        {"refused", s.refused},
                                                        {"dropped", s.dropped}};
    for (const auto& [result, count] : results) {
      ClientMetric& metric = samples.metric.emplace_back();
      metric.label = {{"result", result}};
      metric.counter.value = static_cast<double>(count);
    }
  }
  MetricFamily& retries = Append("muster_remote_write_retries_total",
                                 "Requests that have to be sent again.",
                                 MetricType::Counter, families);
  if (stats) {
    retries.metric.emplace_back().counter.value =
        static_cast<double>(s.retries);
  }
  gauge("muster_remote_write_queue_bytes",
        "Memory of the steps that wait to be sent.", stats.has_value(),
        static_cast<double>(s.queue_bytes));
  gauge("muster_remote_write_newest_timestamp_seconds",
        "Time of the newest sample that was delivered.", s.newest_time_ms > 0,
        static_cast<double>(s.newest_time_ms) / 1e3);
}

}  // namespace muster::exposition
