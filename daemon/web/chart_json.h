// The JSON of charts, as Protocol Buffers would write it but some ten times as
// fast: their numbers are most of what a page asks for.
#ifndef MUSTER_DAEMON_WEB_CHART_JSON_H_
#define MUSTER_DAEMON_WEB_CHART_JSON_H_

#include <string>

#include "muster/v1/query.pb.h"

namespace muster::web {

// Every field is there but an absent `rank`; numbers in as few digits as read
// back to the same.
std::string ChartJson(const v1::Series& series);
std::string ChartJson(const v1::Heatmap& heatmap);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_CHART_JSON_H_
