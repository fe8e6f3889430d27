// Where an address may be reached, asked without waiting for the answer.
#ifndef MUSTER_CLIENT_SRC_LOOKUP_H_
#define MUSTER_CLIENT_SRC_LOOKUP_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/src/address.h"
#include "client/src/socket.h"

namespace muster {

// As Resolve(): it may block for as long as it likes.
using ResolveFunction = std::function<std::vector<SocketAddress>(
    const Address&, std::string* error)>;

// One question to the name service, on a thread of its own that lives as long
// as the question: nothing can interrupt a name service. A Lookup that goes
// away leaves that thread to end by itself, with all that it needs.
// Thread-compatible; the transport owns it.
class Lookup {
 public:
  struct Answer {
    std::vector<SocketAddress> addresses;
    std::string error;  // one line if there are none
  };

  // Throws std::system_error if there is no thread or descriptor to be had.
  Lookup(ResolveFunction resolve, Address address);
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  // Readable once there is an answer.
  int descriptor() const;
  // The answer, if there is one; only once.
  std::optional<Answer> Take();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_LOOKUP_H_
