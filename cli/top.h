// `muster top`: the terminal as a view of the ranks that follows the run.
#ifndef MUSTER_CLI_TOP_H_
#define MUSTER_CLI_TOP_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/top_view.h"
#include "daemon/identity/channel_files.h"

namespace muster::cli {

struct TopOptions {
  std::string address;
  identity::ChannelFiles files;
  std::string run;  // opened at the start; empty: the list, or the only run
  absl::Duration interval = absl::Seconds(1);  // between questions
  TopSort sort = TopSort::kDeviation;
  bool colour = true;
};

// Takes over the terminal until the person leaves. FAILED_PRECONDITION where
// there is none. A daemon that cannot be reached is shown, not returned.
absl::Status RunTop(const TopOptions& options);

// What it would show now in so many columns, as lines without colours: for
// files and scripts. UNAVAILABLE where the daemon cannot be reached.
absl::StatusOr<std::string> TopOnce(const TopOptions& options, size_t width);

}  // namespace muster::cli

#endif  // MUSTER_CLI_TOP_H_
