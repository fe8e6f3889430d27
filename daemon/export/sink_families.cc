#include "daemon/export/sink_families.h"

#include <array>

namespace muster::exposition {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct SinkMetric {
  const char* name;
  const char* help;
  MetricType type;
  double (*value)(const SinkSample&);
};

constexpr std::array<SinkMetric, 5> kMetrics = {{
    {"muster_sink_up",
     "0 while what is to be told to the receiver cannot be delivered.",
     MetricType::Gauge, [](const SinkSample& s) { return s.up ? 1.0 : 0.0; }},
    {"muster_sink_held", "What is kept to be sent to the receiver.",
     MetricType::Gauge,
     [](const SinkSample& s) { return static_cast<double>(s.held); }},
    {"muster_sink_sent_total", "Posts that the receiver took.",
     MetricType::Counter,
     [](const SinkSample& s) { return static_cast<double>(s.sent); }},
    {"muster_sink_failed_total", "Posts that it did not take.",
     MetricType::Counter,
     [](const SinkSample& s) { return static_cast<double>(s.failed); }},
    {"muster_sink_dropped_total",
     "What was not delivered: no room, too late, or refused as it is.",
     MetricType::Counter,
     [](const SinkSample& s) { return static_cast<double>(s.dropped); }},
}};

}  // namespace

std::vector<MetricFamily> BuildSinkFamilies(
    const std::vector<SinkSample>& sinks) {
  std::vector<MetricFamily> families;
  for (const SinkMetric& each : kMetrics) {
    MetricFamily& family = families.emplace_back(
        MetricFamily{each.name, each.help, each.type, {}});
    for (const SinkSample& sink : sinks) {
      ClientMetric& metric = family.metric.emplace_back();
      metric.label = {{"sink", sink.sink}, {"receiver", sink.receiver}};
      if (each.type == MetricType::Counter) {
        metric.counter.value = each.value(sink);
      } else {
        metric.gauge.value = each.value(sink);
      }
    }
  }
  return families;
}

}  // namespace muster::exposition
