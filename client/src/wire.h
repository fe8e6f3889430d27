// Messages of the wire contract as bytes, by nanopb.
#ifndef MUSTER_CLIENT_SRC_WIRE_H_
#define MUSTER_CLIENT_SRC_WIRE_H_

#include <string>
#include <string_view>

#include "muster/v1/telemetry.nano.h"

namespace muster {

// Appends the bytes of a message to *bytes; `message` is the struct that
// `fields` describes. Throws std::bad_alloc.
void AppendMessage(const pb_msgdesc_t* fields, const void* message,
                   std::string* bytes);

// A field of text, which nanopb does not write to. Null, which is absent, if it
// is empty. Borrows `text`.
char* TextField(const std::string& text);

// A callback field that holds `bytes`; absent if they are none. Borrows them.
pb_callback_t BytesField(const std::string* bytes);

// What the daemon says. Owns what nanopb allocates for it.
class ServerMessage {
 public:
  ServerMessage() = default;
  ~ServerMessage();
  ServerMessage(const ServerMessage&) = delete;
  ServerMessage& operator=(const ServerMessage&) = delete;

  // False if `bytes` are no ServerMessage, or a text in them is not UTF-8. Once
  // only.
  bool Parse(std::string_view bytes);

  const muster_v1_ServerMessage& operator*() const { return message_; }

 private:
  muster_v1_ServerMessage message_ = muster_v1_ServerMessage_init_zero;
};

// The text of a field that was parsed; empty if it is absent.
inline std::string_view Text(const char* field) {
  return field == nullptr ? std::string_view() : std::string_view(field);
}

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_WIRE_H_
