// `muster simulate`: a synthetic run, sent to a daemon as its ranks would.
#ifndef MUSTER_CLI_SIMULATION_H_
#define MUSTER_CLI_SIMULATION_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/identity/channel_files.h"
#include "daemon/simulate/options.h"

namespace muster::cli {

// What to send, and how fast.
struct SimulationOptions {
  simulate::Options model;
  uint64_t steps = 1000;
  // Steps sent in a second; 0: as fast as the daemon takes them.
  double steps_per_second = 0;
  // 1: as one client would. More: the ranks in order, as many in each, as
  // relays of so many nodes carry them; at most the ranks.
  uint32_t streams = 1;
};

// The width that a run states: also one without sketches has one.
inline uint32_t StatedWidth(const simulate::Options& model) {
  return model.sketch_width > 0 ? model.sketch_width : 64;
}

struct SimulationSummary {
  std::string run;
  uint64_t steps = 0;
  uint64_t reports = 0;
  uint64_t acknowledged = 0;  // reports settled by the daemon
  uint64_t refused = 0;       // messages and reports
  std::string refusal;        // the first one's words; empty if none
  double seconds = 0;
  // The worst of all steps: from when it was due until it was begun, 0 without
  // a pace; and from there until all its reports were acknowledged.
  double behind_seconds = 0;
  double acknowledged_within_seconds = 0;
  std::set<uint64_t> alerts;          // ids of those that fired
  std::set<std::string> alert_lines;  // kind and evidence, as they began
};

// Sends the run over streams that carry ranks as sources, and waits until the
// daemon has settled all reports. UNAVAILABLE where the daemon cannot be
// reached or breaks the stream; FAILED_PRECONDITION where it refuses a rank.
absl::StatusOr<SimulationSummary> Simulate(const std::string& address,
                                           const identity::ChannelFiles& files,
                                           const std::string& run,
                                           const SimulationOptions& options);

// For people, or one JSON object.
std::string FormatSimulation(const SimulationSummary& summary, bool json);

}  // namespace muster::cli

#endif  // MUSTER_CLI_SIMULATION_H_
