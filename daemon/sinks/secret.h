// A secret by the place where it lies. The value itself is never in the
// configuration, and so in no log, no history and no --print-config.
#ifndef MUSTER_DAEMON_SINKS_SECRET_H_
#define MUSTER_DAEMON_SINKS_SECRET_H_

#include <string>

#include "absl/status/statusor.h"

namespace muster::sinks {

// At most one of both is set; none: there is no secret.
struct Secret {
  std::string file;      // path; a line break at its end does not count
  std::string variable;  // name in the environment of the daemon

  bool is_set() const { return !file.empty() || !variable.empty(); }
};

// Longest secret that is read.
inline constexpr size_t kMaxSecretBytes = 16384;

// What lies there now: it is read at each use, so that a file can be rotated.
// FAILED_PRECONDITION, naming the place, if it cannot be read, is empty, is
// longer than kMaxSecretBytes or holds a control character. Requires: is_set().
absl::StatusOr<std::string> ReadSecret(const Secret& secret);

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_SECRET_H_
