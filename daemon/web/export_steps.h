// All frames of a run, page by page.
#ifndef MUSTER_DAEMON_WEB_EXPORT_STEPS_H_
#define MUSTER_DAEMON_WEB_EXPORT_STEPS_H_

#include "absl/status/statusor.h"
#include "daemon/web/source.h"
#include "muster/v1/query.pb.h"

namespace muster::web {

// One page: at most 512 stored frames are read for it, or some 65,536 values of
// ranks. First what is in the history, then what is in memory and not stored
// (yet). Errors as in queries.h, and those of the history.
absl::StatusOr<v1::ExportStepsResponse> ExportSteps(
    const Source& source, const v1::ExportStepsRequest& request);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_EXPORT_STEPS_H_
