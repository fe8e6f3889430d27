// One request: its body, steps of one run as series, and its headers.
#ifndef MUSTER_DAEMON_SINKS_REMOTE_WRITE_REQUEST_H_
#define MUSTER_DAEMON_SINKS_REMOTE_WRITE_REQUEST_H_

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "daemon/sinks/remote_write/options.h"
#include "daemon/sinks/remote_write/step.h"

namespace muster::sinks::remote_write {

// The value that ends a series is the NaN of these bits.
inline constexpr uint64_t kStaleBits = 0x7ff0000000000002;

// A series of a run: index of the metric, and the rank where it is one of
// kRankMetricNames; -1 where it is one of kRunMetricNames.
using SeriesKey = std::pair<size_t, int64_t>;
using SeriesKeys = std::set<SeriesKey>;

// Adds the series in which `step` has a sample.
void NoteSeries(const Step& step, SeriesKeys& series);

// A WriteRequest of these steps in snappy's block format. Where a step says
// that the run ended, `series`, those before it and of this request, end.
// Requires: steps ascend in time.
std::string EncodeRequest(const std::string& run, const Pairs& external_labels,
                          std::span<const Step> steps,
                          const SeriesKeys& series);

// What is sent with each of them.
HttpHeaders HeadersOf(const Options& options);

}  // namespace muster::sinks::remote_write

#endif  // MUSTER_DAEMON_SINKS_REMOTE_WRITE_REQUEST_H_
