// Asks the daemon over gRPC; the only part of the command that includes it.
#ifndef MUSTER_CLI_QUERY_CLIENT_H_
#define MUSTER_CLI_QUERY_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/identity/channel_files.h"
#include "muster/v1/query.pb.h"

namespace muster::cli {

// Each call waits for at most five seconds, ExportSteps for a minute.
// UNAVAILABLE where the daemon cannot be reached or does not answer; other
// codes are the daemon's own words. Thread-safe.
class QueryClient {
 public:
  // `address`: HOST:PORT, tls://HOST:PORT or unix:PATH. Files that cannot be
  // used are what each call then answers.
  QueryClient(const std::string& address, const identity::ChannelFiles& files);
  ~QueryClient();

  absl::StatusOr<v1::ListRunsResponse> ListRuns();
  absl::StatusOr<v1::ListRanksResponse> ListRanks(
      const v1::ListRanksRequest& request);
  absl::StatusOr<v1::ListStepsResponse> ListSteps(
      const v1::ListStepsRequest& request);
  absl::StatusOr<v1::ExportStepsResponse> ExportSteps(
      const v1::ExportStepsRequest& request);
  absl::StatusOr<v1::ListAlertsResponse> ListAlerts(
      const v1::ListAlertsRequest& request);
  absl::StatusOr<v1::Heatmap> GetHeatmap(const v1::GetHeatmapRequest& request);
  absl::StatusOr<v1::Series> GetSeries(const v1::GetSeriesRequest& request);
  absl::StatusOr<v1::Matrix> GetMatrix(const v1::GetMatrixRequest& request);

 private:
  struct Channel;
  const std::unique_ptr<Channel> channel_;
};

}  // namespace muster::cli

#endif  // MUSTER_CLI_QUERY_CLIENT_H_
