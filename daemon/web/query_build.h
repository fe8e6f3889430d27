// Messages of query.proto, built from what the rooms behind the snapshot know.
#ifndef MUSTER_DAEMON_WEB_QUERY_BUILD_H_
#define MUSTER_DAEMON_WEB_QUERY_BUILD_H_

#include "daemon/consistency/measure.h"
#include "daemon/runs/snapshot.h"
#include "muster/v1/query.pb.h"

namespace muster::web {

// Absent and non-finite numbers are left out throughout.
v1::Run BuildRun(const runs::RunSnapshot& run);
v1::RankValues BuildRankValues(const consistency::RankMeasures& measures);
v1::Step BuildStep(const runs::FrameStore::Entry& entry, bool with_ranks);
// Ranks never seen are absent; values are those of the newest frame in memory
// that has the rank.
v1::ListRanksResponse BuildRanks(const runs::RunSnapshot& run);
// Of more than 64 ranks with a direction the 64 whose mean cosine to the others
// is lowest.
v1::Matrix BuildMatrix(const frames::Frame& frame);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_QUERY_BUILD_H_
