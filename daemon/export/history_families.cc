#include "daemon/export/history_families.h"

#include <array>
#include <utility>

namespace muster::exposition {
namespace {

using history::WriterStats;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct HistoryMetric {
  const char* name;
  const char* help;
  MetricType type;
  double (*value)(const WriterStats&);
};

constexpr std::array<HistoryMetric, 8> kMetrics = {{
    {"muster_history_up", "1 while what is judged can be stored, else 0.",
     MetricType::Gauge, [](const WriterStats& s) { return s.up ? 1.0 : 0.0; }},
    {"muster_history_file_bytes", "Size of the history's file.",
     MetricType::Gauge,
     [](const WriterStats& s) { return static_cast<double>(s.file_bytes); }},
    {"muster_history_queue_bytes", "Memory of what waits to be stored.",
     MetricType::Gauge,
     [](const WriterStats& s) { return static_cast<double>(s.queue_bytes); }},
    {"muster_history_frames_total", "Frames that were stored.",
     MetricType::Counter,
     [](const WriterStats& s) { return static_cast<double>(s.frames); }},
    {"muster_history_frames_lost_total",
     "Frames that were judged and could not be stored.", MetricType::Counter,
     [](const WriterStats& s) { return static_cast<double>(s.frames_lost); }},
    {"muster_history_frames_deleted_total",
     "Frames that were deleted for their age or for room.", MetricType::Counter,
     [](const WriterStats& s) {
       return static_cast<double>(s.frames_deleted);
     }},
    {"muster_history_commits_total", "Transactions that were committed.",
     MetricType::Counter,
     [](const WriterStats& s) { return static_cast<double>(s.commits); }},
    {"muster_history_commit_seconds_total", "Time spent in them.",
     MetricType::Counter,
     [](const WriterStats& s) { return s.commit_seconds; }},
}};

void Add(double value, MetricFamily& family) {
  ClientMetric& metric = family.metric.emplace_back();
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

}  // namespace

std::vector<MetricFamily> BuildHistoryFamilies(
    const std::optional<WriterStats>& stats) {
  std::vector<MetricFamily> families;
  for (const HistoryMetric& metric : kMetrics) {
    MetricFamily& family = families.emplace_back(
        MetricFamily{metric.name, metric.help, metric.type, {}});
    if (stats) Add(metric.value(*stats), family);
  }
  MetricFamily& errors = families.emplace_back(
      MetricFamily{"muster_history_errors_total",
                   "Attempts to store or to delete that failed.",
                   MetricType::Counter,
                   {}});
  if (stats) {
    for (const auto& [reason, count] : stats->errors) {
      Add(static_cast<double>(count), errors);
      errors.metric.back().label = {{"reason", reason}};
    }
  }
  return families;
}

}  // namespace muster::exposition
