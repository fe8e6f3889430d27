#include "daemon/export/families.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "daemon/export/history_families.h"
#include "daemon/export/rank_rows.h"
#include "daemon/export/remote_write_families.h"
#include "prometheus/text_serializer.h"

namespace muster::exposition {
namespace {

using consistency::Measures;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using runs::RunSnapshot;
using Labels = std::vector<ClientMetric::Label>;
using Value = std::optional<double>;

// A number of the newest judged frame.
struct FrameGauge {
  const char* name;
  const char* help;
  Value (*value)(const Measures&);
};

constexpr std::array<FrameGauge, 18> kFrameGauges = {{
    {"muster_step", "Step of the newest judged frame.",
     [](const Measures& m) -> Value { return static_cast<double>(m.step); }},
    {"muster_loss_mean",
     "Mean loss over ranks, weighted by samples or tokens where given.",
     [](const Measures& m) { return m.loss_mean; }},
    {"muster_loss_stddev",
     "Population standard deviation of the loss over ranks.",
     [](const Measures& m) {
       return m.loss ? Value(m.loss->stddev) : std::nullopt;
     }},
    {"muster_loss_range", "Largest minus smallest loss over ranks.",
     [](const Measures& m) {
       return m.loss ? Value(m.loss->range()) : std::nullopt;
     }},
    {"muster_gradient_norm_mean", "Mean local gradient norm over ranks.",
     [](const Measures& m) {
       return m.gradient_norm ? Value(m.gradient_norm->mean) : std::nullopt;
     }},
    {"muster_gradient_norm_stddev",
     "Population standard deviation of the local gradient norm over ranks.",
     [](const Measures& m) {
       return m.gradient_norm ? Value(m.gradient_norm->stddev) : std::nullopt;
     }},
    {"muster_gradient_norm_range",
     "Largest minus smallest local gradient norm over ranks.",
     [](const Measures& m) {
       return m.gradient_norm ? Value(m.gradient_norm->range()) : std::nullopt;
     }},
    {"muster_gradient_cosine_mean",
     "Mean cosine of the local gradients over all pairs of ranks.",
     [](const Measures& m) { return m.cosine_mean; }},
    {"muster_gradient_cosine_min",
     "Lowest cosine of a rank's gradient to the mean of the others'.",
     [](const Measures& m) { return m.cosine_min; }},
    {"muster_gradient_cosine_expected",
     "Mean cosine that the gradient noise scale predicts.",
     [](const Measures& m) { return m.cosine_expected; }},
    {"muster_gradient_noise_scale",
     "Gradient noise scale in samples or tokens, in batches where ranks give "
     "no weights.",
     [](const Measures& m) { return m.noise_scale; }},
    {"muster_replica_values",
     "Distinct fingerprints of the parameters over ranks; 1 is healthy.",
     [](const Measures& m) {
       return m.replica_ranks > 0 ? Value(m.replica_values) : std::nullopt;
     }},
    {"muster_replica_spread",
     "Root mean square distance of the ranks' parameters from their mean, over "
     "its norm.",
     [](const Measures& m) { return m.replica_spread; }},
    {"muster_local_distance_mean",
     "Mean distance of the ranks from the last common parameters.",
     [](const Measures& m) { return m.local_distance_mean; }},
    {"muster_consensus_distance",
     "Root mean square distance of the ranks' parameters from their mean, "
     "between synchronisations.",
     [](const Measures& m) { return m.consensus_distance; }},
    {"muster_samples_shared_share",
     "Share of the samples drawn in an epoch that more than one rank drew.",
     [](const Measures& m) {
       return m.samples ? Value(m.samples->shared_share) : std::nullopt;
     }},
    {"muster_samples_repeat_share",
     "Share of the draws in an epoch that repeat one of the same rank.",
     [](const Measures& m) {
       return m.samples ? Value(m.samples->repeat_share) : std::nullopt;
     }},
    {"muster_samples_undrawn_share",
     "Share of the data set that no rank has drawn so far in the epoch.",
     [](const Measures& m) {
       return m.samples ? m.samples->undrawn_share : std::nullopt;
     }},
}};

struct RankGauge {
  const char* name;
  const char* help;
  Value RankRow::*value;
};

constexpr std::array<RankGauge, 4> kRankGauges = {{
    {"muster_rank_loss", "Loss of a rank in the newest judged frame.",
     &RankRow::loss},
    {"muster_rank_gradient_norm",
     "Local gradient norm of a rank in the newest judged frame.",
     &RankRow::gradient_norm},
    {"muster_rank_gradient_cosine",
     "Cosine of a rank's gradient to the mean of the others'.",
     &RankRow::gradient_cosine},
    {"muster_rank_lag_steps", "Steps of a rank behind the newest one reported.",
     &RankRow::lag_steps},
}};

struct RunHistogram {
  const char* name;
  const char* help;
  runs::Histogram RunSnapshot::*value;
};

constexpr std::array<RunHistogram, 4> kHistograms = {{
    {"muster_step_loss_stddev",
     "Population standard deviation of the loss over ranks, of every step.",
     &RunSnapshot::step_loss_stddev},
    {"muster_step_gradient_norm_stddev",
     "Population standard deviation of the local gradient norm, of every step.",
     &RunSnapshot::step_gradient_norm_stddev},
    {"muster_step_gradient_divergence",
     "1 - mean cosine of the local gradients over all pairs, of every step.",
     &RunSnapshot::step_gradient_divergence},
    {"muster_frame_delay_seconds",
     "Time from the last report of a frame until it was judged.",
     &RunSnapshot::frame_delay_seconds},
}};

// Collects the samples of one family.
class Family {
 public:
  Family(const char* name, const char* help, MetricType type) {
    family_.name = name;
    family_.help = help;
    family_.type = type;
  }

  void Add(Labels labels, double value) {
    if (!std::isfinite(value)) return;
    ClientMetric metric;
    metric.label = std::move(labels);
    if (family_.type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family_.metric.push_back(std::move(metric));
  }

  void Add(Labels labels, const runs::Histogram& histogram) {
    if (!std::isfinite(histogram.sum)) return;
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.histogram.sample_count = histogram.count;
    metric.histogram.sample_sum = histogram.sum;
    uint64_t cumulative = 0;
    for (size_t i = 0; i < histogram.bounds.size(); ++i) {
      cumulative += histogram.counts[i];
      metric.histogram.bucket.push_back({cumulative, histogram.bounds[i]});
    }
    family_.metric.push_back(std::move(metric));
  }

  MetricFamily Take() { return std::move(family_); }

 private:
  MetricFamily family_;
};

using Runs = std::vector<std::shared_ptr<const RunSnapshot>>;
using Families = std::vector<MetricFamily>;

void AppendFrames(const Runs& runs, Families& families) {
  for (const FrameGauge& gauge : kFrameGauges) {
    Family family(gauge.name, gauge.help, MetricType::Gauge);
    for (const auto& run : runs) {
      if (run->newest == nullptr) continue;
      const Value value = gauge.value(*run->newest);
      if (value) family.Add({{"run", run->run}}, *value);
    }
    families.push_back(family.Take());
  }
}

// Of all runs, those without series too.
void AppendStates(const Runs& runs, Families& families) {
  Family family("muster_runs", "Runs that the daemon follows, by state.",
                MetricType::Gauge);
  for (const auto& [state, name] :
       {std::pair(runs::RunState::kLive, "live"),
        std::pair(runs::RunState::kSilent, "silent"),
        std::pair(runs::RunState::kEnded, "ended")}) {
    family.Add({{"state", name}},
               std::count_if(runs.begin(), runs.end(),
                             [wanted = state](const auto& run) {
                               return run->state == wanted;
                             }));
  }
  families.push_back(family.Take());
}

void AppendPresence(const Runs& runs, Families& families) {
  Family judged("muster_last_frame_timestamp_seconds",
                "When the newest frame was judged, by the daemon's clock.",
                MetricType::Gauge);
  Family expected("muster_ranks_expected",
                  "World size of the newest judged frame.", MetricType::Gauge);
  Family reporting("muster_ranks_reporting",
                   "Ranks in the newest judged frame, 0 before the first.",
                   MetricType::Gauge);
  Family connected("muster_ranks_connected",
                   "Ranks with a stream to the daemon now.", MetricType::Gauge);
  Family ended("muster_run_ended",
               "1 when all ranks have said goodbye, 0 before.",
               MetricType::Gauge);
  for (const auto& run : runs) {
    const Measures* newest = run->newest.get();
    if (newest != nullptr) {
      judged.Add({{"run", run->run}},
                 absl::ToUnixMicros(run->newest_time) / 1e6);
    }
    expected.Add({{"run", run->run}},
                 newest ? newest->ranks_expected : run->world_size);
    reporting.Add({{"run", run->run}}, newest ? newest->ranks_reporting : 0);
    connected.Add({{"run", run->run}},
                  std::count_if(run->sources.begin(), run->sources.end(),
                                [](const auto& s) {
                                  return s.connected && !s.departed;
                                }));
    ended.Add({{"run", run->run}}, run->state == runs::RunState::kEnded);
  }
  families.push_back(judged.Take());
  families.push_back(expected.Take());
  families.push_back(reporting.Take());
  families.push_back(connected.Take());
  families.push_back(ended.Take());
}

void AppendRanks(const Runs& runs, Families& families) {
  std::vector<std::vector<RankRow>> rows;
  for (const auto& run : runs) {
    rows.push_back(RankRows(*run));
  }
  for (const RankGauge& gauge : kRankGauges) {
    Family family(gauge.name, gauge.help, MetricType::Gauge);
    for (size_t i = 0; i < runs.size(); ++i) {
      for (const RankRow& row : rows[i]) {
        const Value value = row.*gauge.value;
        if (!value) continue;
        family.Add({{"run", runs[i]->run}, {"rank", std::to_string(row.rank)}},
                   *value);
      }
    }
    families.push_back(family.Take());
  }
}

void AppendAlerts(const Runs& runs, Families& families) {
  Family firing("muster_alerts_firing", "Alerts that fire now.",
                MetricType::Gauge);
  Family total("muster_alerts_total", "Alerts that have begun to fire.",
               MetricType::Counter);
  for (const auto& run : runs) {
    for (int kind = 0; kind < detect::kKindCount; ++kind) {
      const Labels labels = {
          {"run", run->run},
          {"kind", detect::KindName(static_cast<detect::Kind>(kind))}};
      firing.Add(labels, run->alerts_firing[kind]);
      total.Add(labels, run->alerts_total[kind]);
    }
  }
  families.push_back(firing.Take());
  families.push_back(total.Take());
}

void AppendCounts(const Scrape& scrape, const Runs& runs, Families& families) {
  Family received(
      "muster_reports_received_total",
      "Reports that arrived and were not refused, re-sent ones again.",
      MetricType::Counter);
  Family rejected("muster_reports_rejected_total",
                  "Messages and reports that were refused, over all runs.",
                  MetricType::Counter);
  Family dropped("muster_reports_dropped_total",
                 "Reports that were made but did not enter a frame.",
                 MetricType::Counter);
  Family frames("muster_frames_total", "Frames that were judged.",
                MetricType::Counter);
  for (const auto& run : runs) {
    received.Add({{"run", run->run}}, run->reports_received);
    dropped.Add({{"run", run->run}, {"where", "client"}},
                run->reports_dropped_client);
    dropped.Add({{"run", run->run}, {"where", "late"}}, run->reports_late);
    frames.Add({{"run", run->run}, {"state", "complete"}},
               run->frames_complete);
    frames.Add({{"run", run->run}, {"state", "partial"}}, run->frames_partial);
  }
  for (const auto& [reason, count] : scrape.rejected) {
    rejected.Add({{"reason", reason}}, count);
  }
  families.push_back(received.Take());
  families.push_back(rejected.Take());
  families.push_back(dropped.Take());
  families.push_back(frames.Take());
}

void AppendHistograms(const Runs& runs, Families& families) {
  for (const RunHistogram& histogram : kHistograms) {
    Family family(histogram.name, histogram.help, MetricType::Histogram);
    for (const auto& run : runs) {
      family.Add({{"run", run->run}}, (*run).*histogram.value);
    }
    families.push_back(family.Take());
  }
}

}  // namespace

std::vector<MetricFamily> BuildFamilies(const Scrape& scrape) {
  Runs shown;
  for (const auto& run : scrape.runs) {
    const bool over = run->state == runs::RunState::kEnded &&
                      scrape.now - run->state_since >= scrape.keep_ended;
    if (!over) shown.push_back(run);
  }
  Families families;
  AppendStates(scrape.runs, families);
  AppendPresence(shown, families);
  AppendFrames(shown, families);
  AppendRanks(shown, families);
  AppendAlerts(shown, families);
  AppendCounts(scrape, shown, families);
  for (MetricFamily& family : BuildHistoryFamilies(scrape.history)) {
    families.push_back(std::move(family));
  }
  for (MetricFamily& family : BuildSinkFamilies(scrape.sinks)) {
    families.push_back(std::move(family));
  }
  AppendRemoteWrite(scrape.remote_write, families);
  for (MetricFamily& family : BuildAccessFamilies(scrape.access)) {
    families.push_back(std::move(family));
  }
  AppendHistograms(shown, families);
  Family build("muster_build_info", "1, labelled by the daemon's version.",
               MetricType::Gauge);
  build.Add({{"version", scrape.version}}, 1);
  families.push_back(build.Take());
  for (MetricFamily& family : BuildProcessFamilies(scrape.process)) {
    families.push_back(std::move(family));
  }
  return families;
}

std::string MetricsText(const Scrape& scrape) {
  std::vector<MetricFamily> families = BuildFamilies(scrape);
  std::erase_if(families, [](const MetricFamily& family) {
    return family.metric.empty();
  });
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace muster::exposition
