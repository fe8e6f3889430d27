// One alert told in full: what is known, what the ranks said around it, and
// what to look at first.
#ifndef MUSTER_CLI_EXPLAIN_H_
#define MUSTER_CLI_EXPLAIN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "cli/format.h"
#include "muster/v1/query.pb.h"

namespace muster::cli {

// The alert of that number; an error names what to give where none or several
// runs have it.
absl::StatusOr<v1::Alert> ChooseAlert(const v1::ListAlertsResponse& alerts,
                                      uint64_t id);

// The steps around the alert's first one that an explanation shows, with the
// values of each rank: some before it, some after.
v1::ListStepsRequest StepsAround(const v1::Alert& alert);

// Verdict, evidence, the named ranks' processes, their values against those of
// the others at each of `steps`, and what to look at first; with a trailing
// newline. `steps` answers StepsAround; both it and `ranks` may be empty.
std::string FormatExplanation(const v1::Alert& alert,
                              const v1::ListStepsResponse& steps,
                              const v1::ListRanksResponse& ranks,
                              const Style& style);

// {"alert": …, "steps": […], "ranks": […]}
std::string FormatExplanationJson(const v1::Alert& alert,
                                  const v1::ListStepsResponse& steps,
                                  const v1::ListRanksResponse& ranks);

}  // namespace muster::cli

#endif  // MUSTER_CLI_EXPLAIN_H_
