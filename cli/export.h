// muster export: all of a run, to a file or a pipe.
#ifndef MUSTER_CLI_EXPORT_H_
#define MUSTER_CLI_EXPORT_H_

#include "absl/status/status.h"
#include "cli/options.h"
#include "cli/query_client.h"

namespace muster::cli {

// Writes to options.output_file, or to stdout, as the daemon's answers come: in
// memory is a page of them. CANCELLED and ABORTED are OutputFile's.
absl::Status ExportRun(const Options& options, QueryClient& client);

}  // namespace muster::cli

#endif  // MUSTER_CLI_EXPORT_H_
