#include "daemon/sinks/sinks.h"

#include <algorithm>
#include <random>
#include <utility>

#include "daemon/sinks/http_client.h"
#include "daemon/sinks/url.h"
#include "daemon/sinks/webhook.h"

namespace muster::sinks {
namespace {

CourierWorld WorldOf(
    const HttpEndpoint& endpoint, const Clock& clock,
    const std::function<void(bool, const std::string&)>& tell) {
  const auto client = std::make_shared<HttpClient>(endpoint);
  return {
      .post =
          [client, timeout = endpoint.timeout](std::string_view body,
                                               const HttpHeaders& headers) {
            return client->Post(body, headers, timeout);
          },
      .cancel = [client] { client->Cancel(); },
      .clock = clock,
      .random =
          [engine = std::mt19937_64(std::random_device()())]() mutable {
            return std::uniform_real_distribution<double>(0, 1)(engine);
          },
      .tell = tell,
  };
}

std::string NameOf(const std::string& name, const HttpEndpoint& endpoint) {
  return name.empty() ? HostOf(endpoint.url) : name;
}

}  // namespace

Sinks::Sinks(
    SinkOptions options, const std::string& data_dir, const Clock& clock,
    const AlertLookup& lookup,
    const std::function<void(bool failing, const std::string& line)>& tell)
    : options_(std::move(options)), clock_(clock) {
  for (const AlertmanagerOptions& each : options_.alertmanagers) {
    HttpEndpoint endpoint = each.endpoint;
    endpoint.path = "/api/v2/alerts";
    couriers_.push_back(std::make_unique<Courier>(
        "alertmanager", NameOf(each.name, each.endpoint),
        std::make_unique<AlertmanagerOutbox>(options_, each.resend_interval,
                                             lookup),
        WorldOf(endpoint, clock, tell)));
  }
  for (const WebhookOptions& each : options_.webhooks) {
    const std::string name = NameOf(each.name, each.endpoint);
    std::unique_ptr<Journal> journal;
    if (!data_dir.empty()) {
      journal =
          std::make_unique<Journal>(data_dir + "/webhook-" + name + ".queue");
    }
    couriers_.push_back(
        std::make_unique<Courier>("webhook", name,
                                  std::make_unique<WebhookOutbox>(
                                      options_, each, std::move(journal), tell),
                                  WorldOf(each.endpoint, clock, tell)));
  }
}

void Sinks::Take(const std::string& run, const alert::Alert& alert) {
  for (const auto& courier : couriers_) courier->Take(run, alert);
}

void Sinks::Resume(const std::string& run, const alert::Alert& alert) {
  for (const auto& courier : couriers_) courier->Resume(run, alert);
}

void Sinks::Start() {
  for (const auto& courier : couriers_) courier->Start();
}

void Sinks::Stop(absl::Duration grace) {
  const absl::Duration end = clock_.monotonic() + grace;
  for (const auto& courier : couriers_) courier->RequestStop();
  for (const auto& courier : couriers_) {
    courier->Stop(std::max(end - clock_.monotonic(), absl::ZeroDuration()));
  }
}

std::vector<CourierStats> Sinks::stats() const {
  std::vector<CourierStats> stats;
  for (const auto& courier : couriers_) stats.push_back(courier->stats());
  return stats;
}

}  // namespace muster::sinks
