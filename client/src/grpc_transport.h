// The transport over grpc++: the reference that the client's own is tested
// beside. No part of the client.
#ifndef MUSTER_CLIENT_SRC_GRPC_TRANSPORT_H_
#define MUSTER_CLIENT_SRC_GRPC_TRANSPORT_H_

#include <memory>

#include "client/src/address.h"
#include "client/src/transport.h"

namespace muster {

std::unique_ptr<Transport> MakeGrpcTransport(const Address& address,
                                             const TlsFiles& files);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_GRPC_TRANSPORT_H_
