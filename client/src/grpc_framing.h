// gRPC's framing of messages on an HTTP/2 stream, and the texts beside it.
#ifndef MUSTER_CLIENT_SRC_GRPC_FRAMING_H_
#define MUSTER_CLIENT_SRC_GRPC_FRAMING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster {

// Of the wire contract, either way.
inline constexpr size_t kMaxMessageBytes = size_t{1} << 20;

// The message behind its prefix: one byte that says "not compressed", then the
// length in four bytes, big endian. Requires: at most kMaxMessageBytes.
std::string FrameMessage(std::string_view message);

// Puts messages together from the pieces in which they come. Memory grows with
// the bytes received, never with a length that was only announced.
// Thread-compatible.
class MessageReader {
 public:
  // Appends the messages that `data` completes. False for good, with *error
  // set (one line), once a message is compressed or too large.
  bool Read(const uint8_t* data, size_t size,
            std::vector<std::string>* messages, std::string* error);

  // No message has begun and not ended.
  bool between_messages() const { return buffer_.empty(); }

 private:
  std::string buffer_;  // prefix and what there is of the message
};

// Of the header grpc-message.
std::string DecodePercent(std::string_view text);

// Printable ASCII, at most 256 bytes: fit for a log, whoever wrote it.
std::string OneLine(std::string_view text);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_GRPC_FRAMING_H_
