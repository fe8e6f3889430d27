// The daemon's certificate and key, looked at before anybody serves with them.
#ifndef MUSTER_DAEMON_IDENTITY_SERVER_TLS_H_
#define MUSTER_DAEMON_IDENTITY_SERVER_TLS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/identity/options.h"

namespace muster::identity {

// Contents of the files of TlsOptions.
struct ServerTls {
  std::string chain;
  std::string key;
  std::string client_ca;  // empty if there is none
  absl::Time expires;     // the daemon's certificate

  bool operator==(const ServerTls&) const = default;
};

// Longest file that is read.
inline constexpr size_t kMaxFileBytes = size_t{1} << 20;

// One line with the reason if the file cannot be read or is longer.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

// Reads the files and checks that they serve at `now`: PEM, not expired, key
// and certificate one pair. The error is one line with key, file and reason.
// Requires: options.enabled().
absl::StatusOr<ServerTls> LoadServerTls(const TlsOptions& options,
                                        absl::Time now);

}  // namespace muster::identity

#endif  // MUSTER_DAEMON_IDENTITY_SERVER_TLS_H_
