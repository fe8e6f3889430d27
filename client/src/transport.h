// The narrow seam between the client and the network: bytes out, answers in.
#ifndef MUSTER_CLIENT_SRC_TRANSPORT_H_
#define MUSTER_CLIENT_SRC_TRANSPORT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace muster {

// What Wait() returns.
struct TransportEvent {
  enum class Kind {
    kTimeout,  // the deadline has passed
    kWoken,    // Wake() was called
    kOpened,   // the stream is open: Send() may be called
    kSent,     // the message is written: Send() may be called again
    kMessage,  // text: bytes of a ServerMessage
    kClosed,   // the stream is gone; text: why, one line
  };
  Kind kind = Kind::kTimeout;
  std::string text;
};

// One bidirectional stream of messages at a time, driven by its caller: nothing
// happens except inside Wait(), so that an implementation needs no thread of
// its own. All but Wake() belong to one thread. No call blocks, except Wait().
class Transport {
 public:
  virtual ~Transport() = default;

  // Begins to open a stream; kOpened or kClosed follows. Requires: none is
  // open.
  virtual void Open() = 0;
  // Writes the bytes of one ClientMessage; kSent or kClosed follows. Requires:
  // after kOpened, and no other message in flight.
  virtual void Send(std::string message) = 0;
  // Says that no message follows; kClosed comes once the daemon has taken all.
  // Requires: no message in flight.
  virtual void FinishSending() = 0;
  // The next event, or kTimeout at `deadline`. Works without a stream too.
  virtual TransportEvent Wait(
      std::chrono::steady_clock::time_point deadline) = 0;
  // Gives the stream up, whatever its state; none of its events follows.
  virtual void Close() = 0;

  // Ends the Wait() in progress, or else the next one, within milliseconds. Any
  // thread.
  virtual void Wake() = 0;
};

// Called on the thread that will drive the transport.
using TransportFactory = std::function<std::unique_ptr<Transport>()>;

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_TRANSPORT_H_
