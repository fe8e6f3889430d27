// The seam between a relay and the network: streams to the upstream.
#ifndef MUSTER_DAEMON_RELAY_UPSTREAM_H_
#define MUSTER_DAEMON_RELAY_UPSTREAM_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/relay/stats.h"
#include "muster/v1/telemetry.pb.h"

namespace muster::relay {

// How a stream ended.
struct StreamEnd {
  bool done = false;                           // in good order, all taken
  UpstreamState state = UpstreamState::kAway;  // what to call upstream now
  std::string why;                             // one line; empty if done
};

// Called on any thread, one at a time; `closed` is the last.
struct StreamEvents {
  std::function<void(v1::ServerMessage)> message;
  std::function<void()> written;
  std::function<void(StreamEnd)> closed;
};

// Thread-compatible. Its owner keeps it until `closed`, or gives it up by
// destroying it; events that are under way may still come then.
class UpstreamStream {
 public:
  virtual ~UpstreamStream() = default;
  // Writes the bytes of a ClientMessage; `written` or `closed` follows.
  // Requires: no other is being written.
  virtual void Write(std::string message) = 0;
  // No message follows; `closed` comes when upstream has taken all.
  virtual void FinishSending() = 0;
};

class Upstream {
 public:
  virtual ~Upstream() = default;
  // Opens a stream that says which relays its messages have passed. It may be
  // written to at once; whether anybody is there shows by the events.
  virtual std::unique_ptr<UpstreamStream> Open(
      const std::vector<std::string>& via, StreamEvents events) = 0;
};

}  // namespace muster::relay

#endif  // MUSTER_DAEMON_RELAY_UPSTREAM_H_
