// Asks the daemon for what `muster top` shows, on a thread of its own.
#ifndef MUSTER_CLI_TOP_SOURCE_H_
#define MUSTER_CLI_TOP_SOURCE_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "cli/query_client.h"
#include "cli/top_view.h"

namespace muster::cli {

// One round of questions about `run` (empty: about all runs). Where the daemon
// does not answer, `before` with its trouble.
TopData AskForTop(QueryClient& client, const std::string& address,
                  const std::string& run, int metric, const TopData& before);

// Thread-safe. A daemon that does not answer never holds up the terminal.
class TopSource {
 public:
  TopSource(std::string address, identity::ChannelFiles files);
  ~TopSource();

  // What to ask for from now on, and how often; asks at once where the run or
  // the metric is another one.
  void Want(const std::string& run, int metric, absl::Duration interval,
            bool paused);
  // Never null.
  std::shared_ptr<const TopData> latest() const;

 private:
  struct Wanted {
    std::string run;
    int metric = 0;
    absl::Duration interval = absl::Seconds(1);
    bool paused = false;
    bool now = true;
    bool stop = false;
  };
  void AskUntilStopped();

  const std::string address_;
  const identity::ChannelFiles files_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Wanted wanted_;                          // guarded by mutex_
  std::shared_ptr<const TopData> latest_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace muster::cli

#endif  // MUSTER_CLI_TOP_SOURCE_H_
