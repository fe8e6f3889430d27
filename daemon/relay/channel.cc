#include "daemon/relay/channel.h"

#include "daemon/identity/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"

namespace muster::relay {

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(
    const Options& options) {
  auto target = identity::PrepareChannel(options.upstream, options.files);
  if (!target.ok()) return target.status();
  grpc::ChannelArguments arguments;
  // The lines wait between attempts; the channel itself should not.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // Tells within 20 s that nobody is there any more; no more often than the
  // daemon allows.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 15'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetMaxReceiveMessageSize(4 << 20);
  // The address is the operator's word: no proxy of the environment.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(target->target, target->credentials,
                                   arguments);
}

}  // namespace muster::relay
