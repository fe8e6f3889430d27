// Answers for charts: a run's steps in few buckets.
#ifndef MUSTER_DAEMON_WEB_SERIES_H_
#define MUSTER_DAEMON_WEB_SERIES_H_

#include "absl/status/statusor.h"
#include "daemon/web/source.h"
#include "muster/v1/query.pb.h"

namespace muster::web {

// Errors as in queries.h, and those of the history where it is read.
absl::StatusOr<v1::Series> GetSeries(const Source& source,
                                     const v1::GetSeriesRequest& request);
absl::StatusOr<v1::Heatmap> GetHeatmap(const Source& source,
                                       const v1::GetHeatmapRequest& request);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_SERIES_H_
