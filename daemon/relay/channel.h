// The one place where it is chosen how upstream is spoken to.
#ifndef MUSTER_DAEMON_RELAY_CHANNEL_H_
#define MUSTER_DAEMON_RELAY_CHANNEL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "daemon/relay/options.h"
#include "grpcpp/channel.h"

namespace muster::relay {

// A channel to `options.upstream`, which connects when it is needed. Reads the
// files of TLS; errors as identity::PrepareChannel.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(
    const Options& options);

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_CHANNEL_H_
