// The other end: connections of our own programs to a daemon over gRPC.
#ifndef MUSTER_DAEMON_IDENTITY_CHANNEL_H_
#define MUSTER_DAEMON_IDENTITY_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "daemon/identity/channel_files.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"

namespace muster::identity {

// What grpc::CreateChannel wants.
struct ChannelTarget {
  std::string target;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
};

// `address`: HOST:PORT, tls://HOST:PORT or unix:PATH. INVALID_ARGUMENT where a
// token would travel in the clear to another machine; FAILED_PRECONDITION,
// naming the file, where one cannot be read. Files of TLS are read now.
absl::StatusOr<ChannelTarget> PrepareChannel(const std::string& address,
                                             const ChannelFiles& files);

// Adds the token, read anew so that it may be exchanged; nothing without one.
absl::Status AddToken(const ChannelFiles& files, grpc::ClientContext& context);

}  // namespace muster::identity

#endif  // MUSTER_DAEMON_IDENTITY_CHANNEL_H_
