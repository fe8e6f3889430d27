// Flags of `muster simulate`: internal to the parsing of options.
#ifndef MUSTER_CLI_SIMULATION_OPTIONS_H_
#define MUSTER_CLI_SIMULATION_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/simulation.h"

namespace CLI {
class App;
}

namespace muster::cli {

// Flags as they come, before they are checked together.
struct SimulationFlags {
  SimulationOptions options;
  std::string tails = "gaussian";
  std::string weights = "equal";
  std::vector<std::string> faults;
};

// `flags` outlives the parsing.
void AddSimulationFlags(CLI::App& command, SimulationFlags& flags);
// Checks what was given; an error is one line.
absl::StatusOr<SimulationOptions> ToSimulationOptions(
    const SimulationFlags& flags);

// KIND:RANK:ONSET[:SIZE[:STEPS]], such as "loss-shift:3:300:4".
absl::StatusOr<simulate::Fault> ParseFault(const std::string& text);

}  // namespace muster::cli

#endif  // MUSTER_CLI_SIMULATION_OPTIONS_H_
