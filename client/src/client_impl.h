// The client behind client.h, with its seams open.
#ifndef MUSTER_CLIENT_SRC_CLIENT_IMPL_H_
#define MUSTER_CLIENT_SRC_CLIENT_IMPL_H_

#include <memory>
#include <string>

#include "client/src/sender.h"
#include "client/src/transport.h"
#include "muster/client.h"

namespace muster {

// Client::Start with another transport and clock.
std::unique_ptr<Client> StartClient(const Options& options,
                                    TransportFactory transport, Clock clock,
                                    std::string* error);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_CLIENT_IMPL_H_
