// One gRPC call over HTTP/2, as bytes in and bytes out.
#ifndef MUSTER_CLIENT_SRC_HTTP2_SESSION_H_
#define MUSTER_CLIENT_SRC_HTTP2_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "client/src/grpc_framing.h"
#include "client/src/transport.h"

struct nghttp2_session;

namespace muster {

// The client's end of a connection with one bidirectional call on it. Knows
// neither sockets nor time, so that tests and fuzzers drive it byte by byte.
// Framing, header compression and flow control are libnghttp2's. Whatever the
// other end does wrong ends in one kClosed. Thread-compatible; the transport
// owns it.
class Http2Session {
 public:
  // `scheme`: "http" or "https". `authority`: HOST:PORT of the daemon. `token`
  // says who we are; empty: nothing does. Throws std::bad_alloc.
  Http2Session(const std::string& scheme, const std::string& authority,
               const std::string& token = "");
  ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  // Bytes from the connection, cut anywhere.
  void Receive(const uint8_t* data, size_t size);
  // The connection is gone, or is given up.
  void Fail(std::string_view why);

  // As Transport's.
  void Send(std::string_view message);
  void FinishSending();
  // Asks the other end for a sign of life.
  void Ping();

  // Appends what is to be written next, about 16 KiB at a time; nothing if
  // there is nothing to write or flow control forbids it.
  void TakeOutput(std::string* output);
  // All that was taken has been written, and nothing more was to be taken.
  void Flushed();

  // The next event; none of them is kTimeout or kWoken.
  std::optional<TransportEvent> NextEvent();

  bool open() const { return opened_ && !closed_; }
  bool ping_outstanding() const { return ping_outstanding_; }

 private:
  struct Callbacks;  // what libnghttp2 calls

  void End(std::string_view why);
  // libnghttp2 reads no further, because the other end broke the rules.
  void EndIfUseless();
  // The call's status has come, or its stream was cut without one.
  void EndOfStream();

  nghttp2_session* session_ = nullptr;
  int32_t stream_ = 0;
  std::deque<TransportEvent> events_;
  bool opened_ = false;
  bool closed_ = false;
  bool ping_outstanding_ = false;
  std::string fault_;  // what libnghttp2 says is wrong with the other end

  // Outgoing.
  std::string outgoing_;  // message with its prefix
  size_t outgoing_taken_ = 0;
  bool sending_ = false;
  bool finishing_ = false;

  // Incoming.
  MessageReader reader_;
  std::string http_status_;
  std::string content_type_;
  std::string grpc_status_;
  std::string grpc_message_;
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_HTTP2_SESSION_H_
