#include "client/src/wire.h"

#include <pb_decode.h>
#include <pb_encode.h>

#include <new>

#include "client/src/utf8.h"

namespace muster {
namespace {

// No exception may pass through the library's frames.
bool Append(pb_ostream_t* stream, const pb_byte_t* data, size_t size) noexcept {
  try {
    static_cast<std::string*>(stream->state)
        ->append(reinterpret_cast<const char*>(data), size);
    return true;
  } catch (...) {
    return false;
  }
}

bool EncodeBytes(pb_ostream_t* stream, const pb_field_t* field,
                 void* const* bytes) noexcept {
  const auto& text = *static_cast<const std::string*>(*bytes);
  return text.empty() ||
         (pb_encode_tag_for_field(stream, field) &&
          pb_encode_string(stream,
                           reinterpret_cast<const pb_byte_t*>(text.data()),
                           text.size()));
}

bool TextsAreUtf8(const muster_v1_ServerMessage& message) {
  if (message.which_message == muster_v1_ServerMessage_refusal_tag) {
    return IsUtf8(Text(message.message.refusal.detail));
  }
  if (message.which_message == muster_v1_ServerMessage_alerts_tag) {
    const muster_v1_Alerts& alerts = message.message.alerts;
    for (size_t i = 0; i < alerts.alerts_count; ++i) {
      const muster_v1_Alert& alert = alerts.alerts[i];
      if (!IsUtf8(Text(alert.kind)) || !IsUtf8(Text(alert.run)) ||
          !IsUtf8(Text(alert.subject)) || !IsUtf8(Text(alert.evidence))) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

void AppendMessage(const pb_msgdesc_t* fields, const void* message,
                   std::string* bytes) {
  pb_ostream_t stream = {Append, bytes, SIZE_MAX, 0, nullptr};
  // Nothing else can fail: each field fits its struct.
  if (!pb_encode(&stream, fields, message)) throw std::bad_alloc();
}

char* TextField(const std::string& text) {
  return text.empty() ? nullptr : const_cast<char*>(text.c_str());
}

pb_callback_t BytesField(const std::string* bytes) {
  pb_callback_t field = {};
  field.funcs.encode = EncodeBytes;
  field.arg = const_cast<std::string*>(bytes);
  return field;
}

ServerMessage::~ServerMessage() {
  pb_release(muster_v1_ServerMessage_fields, &message_);
}

bool ServerMessage::Parse(std::string_view bytes) {
  pb_istream_t stream = pb_istream_from_buffer(
      reinterpret_cast<const pb_byte_t*>(bytes.data()), bytes.size());
  return pb_decode(&stream, muster_v1_ServerMessage_fields, &message_) &&
         TextsAreUtf8(message_);
}

}  // namespace muster
