// By what a receiver knows that a webhook's body is ours, and fresh.
#ifndef MUSTER_DAEMON_SINKS_SIGNATURE_H_
#define MUSTER_DAEMON_SINKS_SIGNATURE_H_

#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace muster::sinks {

// "t=SECONDS,v1=HEX": HMAC-SHA-256 (RFC 2104) of "SECONDS.BODY", where SECONDS
// is `now` as Unix time. The time is signed too, so that a receiver can refuse
// what was recorded and is played again.
std::string Sign(std::string_view secret, std::string_view body,
                 absl::Time now);

}  // namespace muster::sinks

#endif  // MUSTER_DAEMON_SINKS_SIGNATURE_H_
