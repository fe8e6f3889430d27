// The JSON of charts, as Protocol Buffers would write it but some ten times as
// fast: their numbers are most of what a page asks for.
#ifndef MUSTER_DAEMON_WEB_CHART_JSON_H_
#define MUSTER_DAEMON_WEB_CHART_JSON_H_

#include <string>

#include "muster/v1/query.pb.h"

namespace muster::web {

// Every field is there but an absent `rank`. Numbers in as few digits as read
// back to the same; with `digits`, 1 … 17, rounded to so many significant ones:
// the eight that our page draws from are half as much to write, send and read.
std::string ChartJson(const v1::Series& series, int digits = 0);
std::string ChartJson(const v1::Heatmap& heatmap, int digits = 0);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_CHART_JSON_H_
