// `muster simulate --history`: a synthetic run, judged and stored without a
// daemon.
#ifndef MUSTER_CLI_SIMULATION_HISTORY_H_
#define MUSTER_CLI_SIMULATION_HISTORY_H_

#include "absl/status/statusor.h"
#include "cli/options.h"
#include "cli/simulation.h"

namespace muster::cli {

// Judges the run as musterd would under `options.config`, and stores it in
// `options.history`, which is created if need be. Its time is the model's: each
// step lasts --step-seconds, and the last one ends `now`. The same options and
// `now` give the same run, but for its row's number. FAILED_PRECONDITION where
// a daemon writes that file.
absl::StatusOr<SimulationSummary> SimulateIntoHistory(const Options& options,
                                                      absl::Time now);

}  // namespace muster::cli

#endif  // MUSTER_CLI_SIMULATION_HISTORY_H_
