#include "daemon/sinks/remote_write/request.h"

#include <snappy.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "prometheus_write/write_request.pb.h"

namespace muster::sinks::remote_write {
namespace {

// Calls `take(key, value)` for each sample.
void ForEachSample(const Step& step, const auto& take) {
  for (size_t i = 0; i < kRunMetrics; ++i) {
    if (!std::isnan(step.values[i])) take(SeriesKey{i, -1}, step.values[i]);
  }
  for (const Step::Rank& rank : step.ranks) {
    for (size_t i = 0; i < kRankMetrics; ++i) {
      if (std::isnan(rank.values[i])) continue;
      take(SeriesKey{i, int64_t{rank.rank}}, rank.values[i]);
    }
  }
}

void SetLabels(const std::string& run, const Pairs& external_labels,
               const SeriesKey& key, prometheus_write::TimeSeries& series) {
  const auto& [metric, rank] = key;
  Pairs labels = external_labels;
  labels.emplace_back("run", run);
  if (rank < 0) {
    labels.emplace_back("__name__", kRunMetricNames[metric]);
  } else {
    labels.emplace_back("__name__", kRankMetricNames[metric]);
    labels.emplace_back("rank", absl::StrCat(rank));
  }
  std::sort(labels.begin(), labels.end());
  for (auto& [name, value] : labels) {
    prometheus_write::Label& label = *series.add_labels();
    label.set_name(std::move(name));
    label.set_value(std::move(value));
  }
}

}  // namespace

void NoteSeries(const Step& step, SeriesKeys& series) {
  ForEachSample(step,
                [&](const SeriesKey& key, double) { series.insert(key); });
}

std::string EncodeRequest(const std::string& run, const Pairs& external_labels,
                          std::span<const Step> steps,
                          const SeriesKeys& series) {
  prometheus_write::WriteRequest request;
  std::map<SeriesKey, prometheus_write::TimeSeries*> known;
  const auto add = [&](const SeriesKey& key, int64_t time_ms, double value) {
    auto& found = known[key];
    if (found == nullptr) {
      found = request.add_timeseries();
      SetLabels(run, external_labels, key, *found);
    }
    prometheus_write::Sample& sample = *found->add_samples();
    sample.set_timestamp(time_ms);
    sample.set_value(value);
  };
  SeriesKeys alive = series;
  for (const Step& step : steps) {
    if (step.ended) {
      for (const SeriesKey& key : alive) {
        add(key, step.time_ms, std::bit_cast<double>(kStaleBits));
      }
      alive.clear();
      continue;
    }
    NoteSeries(step, alive);
    ForEachSample(step, [&](const SeriesKey& key, double value) {
      add(key, step.time_ms, value);
    });
  }
  const std::string plain = request.SerializeAsString();
  std::string compressed;
  snappy::Compress(plain.data(), plain.size(), &compressed);
  return compressed;
}

HttpHeaders HeadersOf(const Options& options) {
  HttpHeaders headers = {{"Content-Encoding", "snappy"},
                         {"Content-Type", "application/x-protobuf"},
                         {"X-Prometheus-Remote-Write-Version", "0.1.0"}};
  headers.insert(headers.end(), options.headers.begin(), options.headers.end());
  return headers;
}

}  // namespace muster::sinks::remote_write
