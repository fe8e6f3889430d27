#include "daemon/export/relay_families.h"

#include <algorithm>
#include <utility>

#include "prometheus/text_serializer.h"

namespace muster::exposition {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using relay::UpstreamState;

// Appends families one by one.
class Families {
 public:
  explicit Families(std::vector<MetricFamily>& families)
      : families_(families) {}

  void Begin(const char* name, const char* help, MetricType type) {
    families_.push_back(MetricFamily{name, help, type, {}});
  }
  void Add(std::vector<ClientMetric::Label> labels, double value) {
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    if (families_.back().type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
  }
  void Gauge(const char* name, const char* help, double value) {
    Begin(name, help, MetricType::Gauge);
    Add({}, value);
  }
  void Counter(const char* name, const char* help, uint64_t value) {
    Begin(name, help, MetricType::Counter);
    Add({}, static_cast<double>(value));
  }
  void ByReason(const char* name, const char* help,
                const std::map<std::string, uint64_t>& counts) {
    Begin(name, help, MetricType::Counter);
    for (const auto& [reason, count] : counts) {
      Add({{"reason", reason}}, static_cast<double>(count));
    }
  }

 private:
  std::vector<MetricFamily>& families_;
};

void AppendUpstream(const relay::Stats& stats, Families& families) {
  const UpstreamState state = stats.status.state;
  families.Gauge("muster_relay_upstream_up",
                 "1 while upstream takes reports, or nothing is to be sent.",
                 state == UpstreamState::kUp || state == UpstreamState::kIdle);
  families.Begin("muster_relay_upstream_state",
                 "1 for the state that upstream is in.", MetricType::Gauge);
  for (size_t i = 0; i < relay::kUpstreamStates.size(); ++i) {
    families.Add({{"state", relay::kUpstreamStates[i]}},
                 static_cast<size_t>(state) == i);
  }
  families.Counter("muster_relay_upstream_failures_total",
                   "Streams to upstream that broke or could not be opened.",
                   stats.counts.upstream_failures);
}

void AppendSpool(const relay::SpoolStats& spool, Families& families) {
  const auto number = [](uint64_t value) { return static_cast<double>(value); };
  families.Gauge("muster_relay_spool_reports", "Reports in the spool.",
                 number(spool.reports));
  families.Gauge("muster_relay_spool_bytes", "Bytes of them.",
                 number(spool.bytes));
  families.Gauge("muster_relay_spool_limit_bytes",
                 "Bytes above which the oldest are dropped.",
                 number(spool.limit_bytes));
  families.Gauge("muster_relay_spool_ok",
                 "0 while the spool cannot be written.", spool.ok);
  families.Counter("muster_relay_reports_spooled_total",
                   "Reports written to the spool.", spool.spooled);
  families.Counter("muster_relay_spool_errors_total",
                   "Reads and writes of the spool that failed.", spool.errors);
  families.Counter("muster_relay_spool_set_aside_total",
                   "Corrupt files that were renamed.", spool.set_aside);
}

}  // namespace

std::vector<MetricFamily> BuildRelayFamilies(const RelayScrape& scrape) {
  std::vector<MetricFamily> all;
  Families families(all);
  const relay::Stats& stats = scrape.relay;
  AppendUpstream(stats, families);
  families.Gauge("muster_relay_runs", "Runs with something to pass on.",
                 static_cast<double>(stats.runs));
  families.Gauge("muster_relay_sources", "Ranks that are connected.",
                 static_cast<double>(stats.sources));
  families.Counter("muster_relay_reports_received_total",
                   "Good reports of ranks, repeated ones left out.",
                   stats.counts.received);
  families.Counter("muster_relay_reports_forwarded_total",
                   "Reports that upstream has acknowledged.",
                   stats.counts.forwarded);
  families.ByReason("muster_relay_reports_refused_total",
                    "Reports and sources that upstream has refused.",
                    stats.counts.refused);
  families.Begin("muster_relay_reports_dropped_total", "Reports that are lost.",
                 MetricType::Counter);
  for (size_t i = 0; i < relay::kPlaces.size(); ++i) {
    families.Add({{"where", relay::kPlaces[i]}},
                 static_cast<double>(stats.counts.dropped[i]));
  }
  families.Gauge("muster_relay_memory_reports",
                 "Reports in memory, for upstream or the spool.",
                 static_cast<double>(stats.memory_reports));
  families.Gauge("muster_relay_memory_bytes", "Bytes of them.",
                 static_cast<double>(stats.memory_bytes));
  if (stats.spool) AppendSpool(*stats.spool, families);
  const bool waits = stats.oldest != absl::InfiniteFuture();
  families.Gauge(
      "muster_relay_oldest_report_age_seconds",
      "How long the oldest report has waited for upstream; 0 if none waits.",
      waits ? std::max(0.0, absl::ToDoubleSeconds(scrape.now - stats.oldest))
            : 0.0);
  families.ByReason("muster_reports_rejected_total",
                    "Messages and reports that were refused, by reason.",
                    scrape.rejected);
  families.Begin("muster_build_info", "1, labelled by the daemon's version.",
                 MetricType::Gauge);
  families.Add({{"version", scrape.version}}, 1);
  for (MetricFamily& family : BuildAccessFamilies(scrape.access)) {
    all.push_back(std::move(family));
  }
  for (MetricFamily& family : BuildProcessFamilies(scrape.process)) {
    all.push_back(std::move(family));
  }
  return all;
}

std::string RelayMetricsText(const RelayScrape& scrape) {
  std::vector<MetricFamily> families = BuildRelayFamilies(scrape);
  std::erase_if(families, [](const MetricFamily& family) {
    return family.metric.empty();
  });
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace muster::exposition
