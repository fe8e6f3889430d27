// A Source that answers from runs built by hand.
#ifndef MUSTER_TESTS_DAEMON_WEB_HAND_BUILT_SOURCE_H_
#define MUSTER_TESTS_DAEMON_WEB_HAND_BUILT_SOURCE_H_

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/web/source.h"
#include "tests/daemon/hand_built_run.h"

namespace muster::testing {

inline web::Source SourceFrom(std::vector<runs::RunSnapshot> runs) {
  std::vector<std::shared_ptr<const runs::RunSnapshot>> shared;
  for (auto& run : runs) shared.push_back(Shared(std::move(run)));
  web::Source source;
  source.snapshots = [shared] { return shared; };
  source.snapshot = [shared](std::string_view name) {
    for (const auto& run : shared) {
      if (run->run == name) return run;
    }
    return std::shared_ptr<const runs::RunSnapshot>();
  };
  source.metrics = [](const web::RunFilter&) { return "muster_step 1\n"; };
  source.ready = [] { return true; };
  source.version = "0.1.0";
  return source;
}

}  // namespace muster::testing

#endif  // MUSTER_TESTS_DAEMON_WEB_HAND_BUILT_SOURCE_H_
