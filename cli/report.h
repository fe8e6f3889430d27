// muster report: a run in one file of HTML, to be attached to a ticket.
#ifndef MUSTER_CLI_REPORT_H_
#define MUSTER_CLI_REPORT_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/options.h"
#include "cli/query_client.h"

namespace muster::cli {

// Asks for what the page shows of options.run, one of `runs`, and writes it.
// Returns what to print: the file's name, or nothing where the report itself
// went to stdout. FAILED_PRECONDITION without a page built in; CANCELLED and
// ABORTED are OutputFile's; else the daemon's or the comparison's own errors.
absl::StatusOr<std::string> WriteReport(const Options& options,
                                        const v1::ListRunsResponse& runs,
                                        QueryClient& client);

}  // namespace muster::cli

#endif  // MUSTER_CLI_REPORT_H_
