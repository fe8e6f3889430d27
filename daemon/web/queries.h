// Answers to the questions of query.proto, from snapshots. HTTP and gRPC say
// the same because both ask here.
#ifndef MUSTER_DAEMON_WEB_QUERIES_H_
#define MUSTER_DAEMON_WEB_QUERIES_H_

#include "absl/status/statusor.h"
#include "daemon/web/source.h"
#include "muster/v1/query.pb.h"

namespace muster::web {

// NOT_FOUND for an unknown run or step, INVALID_ARGUMENT for an argument out of
// range; the message names it and what is allowed.
v1::ListRunsResponse ListRuns(const Source& source);
absl::StatusOr<v1::ListRanksResponse> ListRanks(
    const Source& source, const v1::ListRanksRequest& request);
absl::StatusOr<v1::ListStepsResponse> ListSteps(
    const Source& source, const v1::ListStepsRequest& request);
absl::StatusOr<v1::Matrix> GetMatrix(const Source& source,
                                     const v1::GetMatrixRequest& request);
absl::StatusOr<v1::ListAlertsResponse> ListAlerts(
    const Source& source, const v1::ListAlertsRequest& request);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_QUERIES_H_
