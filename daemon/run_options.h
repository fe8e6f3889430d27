// What runs are made of, as the configuration says.
#ifndef MUSTER_DAEMON_RUN_OPTIONS_H_
#define MUSTER_DAEMON_RUN_OPTIONS_H_

#include "daemon/config.h"
#include "daemon/runs/run.h"

namespace muster {

// Requires: LoadReference() has been called where a reference is named.
runs::RunOptions ToRunOptions(const Config& config);

}  // namespace muster

#endif  // MUSTER_DAEMON_RUN_OPTIONS_H_
