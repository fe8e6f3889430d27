#include "cli/top_source.h"

#include <cmath>
#include <utility>

#include "absl/time/clock.h"

namespace muster::cli {
namespace {

constexpr uint32_t kTrendSteps = 240;
constexpr uint32_t kDeviationBuckets = 24;
constexpr uint64_t kDeviationSteps = 240;

std::map<uint32_t, Deviations> DeviationsOf(const v1::Heatmap& heatmap) {
  std::map<uint32_t, Deviations> deviations;
  const int buckets = heatmap.first_step_size();
  for (int row = 0; row < heatmap.ranks_size(); ++row) {
    Deviations& values = deviations[heatmap.ranks(row)];
    for (int bucket = 0; bucket < buckets; ++bucket) {
      const double value = heatmap.values(row * buckets + bucket);
      values.push_back(std::isnan(value) ? std::nullopt : std::optional(value));
    }
  }
  return deviations;
}

}  // namespace

TopData AskForTop(QueryClient& client, const std::string& address,
                  const std::string& run, int metric, const TopData& before) {
  TopData data;
  data.address = address;
  data.run = run;
  const auto failed = [&](const absl::Status& why) {
    TopData old = before;
    old.address = address;
    old.trouble = std::string(why.message());
    return old;
  };
  auto runs = client.ListRuns();
  if (!runs.ok()) return failed(runs.status());
  data.runs = *std::move(runs);
  data.taken = absl::Now();
  const v1::Run* chosen = nullptr;
  for (const v1::Run& each : data.runs.runs()) {
    if (each.run() == run) chosen = &each;
  }
  if (chosen == nullptr) return data;
  v1::ListAlertsRequest alerts_request;
  alerts_request.set_run(run);
  alerts_request.set_firing_only(true);
  auto alerts = client.ListAlerts(alerts_request);
  if (!alerts.ok()) return failed(alerts.status());
  data.alerts = *std::move(alerts);
  v1::ListRanksRequest ranks_request;
  ranks_request.set_run(run);
  auto ranks = client.ListRanks(ranks_request);
  if (!ranks.ok()) return failed(ranks.status());
  data.ranks = *std::move(ranks);
  v1::ListStepsRequest steps_request;
  steps_request.set_run(run);
  steps_request.set_limit(kTrendSteps);
  auto steps = client.ListSteps(steps_request);
  if (!steps.ok()) return failed(steps.status());
  data.steps = *std::move(steps);
  if (!chosen->has_newest()) return data;
  v1::GetHeatmapRequest heatmap_request;
  heatmap_request.set_run(run);
  heatmap_request.set_metric(TopMetricName(metric));
  heatmap_request.set_columns(kDeviationBuckets);
  const uint64_t newest = chosen->newest().step();
  heatmap_request.set_from(
      newest >= kDeviationSteps ? newest - kDeviationSteps + 1 : 0);
  auto heatmap = client.GetHeatmap(heatmap_request);
  if (!heatmap.ok()) return failed(heatmap.status());
  data.deviations = DeviationsOf(*heatmap);
  return data;
}

TopSource::TopSource(std::string address, identity::ChannelFiles files)
    : address_(std::move(address)),
      files_(std::move(files)),
      latest_(std::make_shared<const TopData>(TopData{.address = address_})),
      thread_([this] { AskUntilStopped(); }) {}

TopSource::~TopSource() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    wanted_.stop = true;
  }
  changed_.notify_all();
  thread_.join();
}

void TopSource::Want(const std::string& run, int metric,
                     absl::Duration interval, bool paused) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (run != wanted_.run || metric != wanted_.metric) wanted_.now = true;
    wanted_.run = run;
    wanted_.metric = metric;
    wanted_.interval = interval;
    wanted_.paused = paused;
  }
  changed_.notify_all();
}

std::shared_ptr<const TopData> TopSource::latest() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return latest_;
}

void TopSource::AskUntilStopped() {
  QueryClient client(address_, files_);
  std::unique_lock<std::mutex> lock(mutex_);
  while (!wanted_.stop) {
    const Wanted wanted = wanted_;
    wanted_.now = false;
    const auto before = latest_;
    lock.unlock();
    auto data = std::make_shared<const TopData>(
        AskForTop(client, address_, wanted.run, wanted.metric, *before));
    const absl::Time next = absl::Now() + wanted.interval;
    lock.lock();
    latest_ = std::move(data);
    // A pause ends with it being over, which changed_ tells too.
    const auto due = [&] {
      return wanted_.stop || wanted_.now ||
             (!wanted_.paused && absl::Now() >= next);
    };
    while (!due()) {
      if (wanted_.paused) {
        changed_.wait(lock);
      } else {
        changed_.wait_until(lock, absl::ToChronoTime(next));
      }
    }
  }
}

}  // namespace muster::cli
