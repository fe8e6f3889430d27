#include "client/src/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "muster/client.h"

namespace muster {
namespace {

constexpr char kMethod[] = "/muster.v1.Telemetry/Stream";
constexpr char kContentType[] = "application/grpc";
constexpr size_t kOutputBytes = size_t{16} << 10;

// Borrows both texts.
nghttp2_nv Header(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

// No exception may pass through the library's frames.
struct Http2Session::Callbacks {
  template <typename Function>
  static int Guarded(Function function) noexcept {
    try {
      return function();
    } catch (...) {
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame,
                      const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t,
                      void* data) {
    auto* self = static_cast<Http2Session*>(data);
    if (frame->hd.stream_id != self->stream_) return 0;
    return Guarded([&] {
      const std::string_view known = Text(name, name_size);
      std::string* place = nullptr;
      if (known == ":status") place = &self->http_status_;
      if (known == "content-type") place = &self->content_type_;
      if (known == "grpc-status") place = &self->grpc_status_;
      if (known == "grpc-message") place = &self->grpc_message_;
      if (place != nullptr) place->assign(Text(value, value_size));
      return 0;
    });
  }

  static int OnData(nghttp2_session*, uint8_t, int32_t stream,
                    const uint8_t* bytes, size_t size, void* data) {
    auto* self = static_cast<Http2Session*>(data);
    if (stream != self->stream_ || self->closed_) return 0;
    return Guarded([&] {
      std::vector<std::string> messages;
      std::string error;
      const bool good = self->reader_.Read(bytes, size, &messages, &error);
      for (std::string& message : messages) {
        self->events_.push_back(
            {TransportEvent::Kind::kMessage, std::move(message)});
      }
      if (good) return 0;
      self->End(error);
      return static_cast<int>(NGHTTP2_ERR_CALLBACK_FAILURE);
    });
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* data) {
    auto* self = static_cast<Http2Session*>(data);
    return Guarded([&] {
      if (!self->closed_) Frame(*self, *frame);
      return 0;
    });
  }

  static void Frame(Http2Session& self, const nghttp2_frame& frame) {
    const bool ours = frame.hd.stream_id == self.stream_;
    const bool ack = (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0;
    switch (frame.hd.type) {
      case NGHTTP2_SETTINGS:
        if (ack || std::exchange(self.opened_, true)) return;
        self.events_.push_back({TransportEvent::Kind::kOpened, ""});
        return;
      case NGHTTP2_PING:
        if (ack) self.ping_outstanding_ = false;
        return;
      case NGHTTP2_GOAWAY: {
        const nghttp2_goaway& goaway = frame.goaway;
        // A call that only waits for its status may still get it.
        if (self.finishing_ && goaway.error_code == NGHTTP2_NO_ERROR &&
            goaway.last_stream_id >= self.stream_) {
          return;
        }
        std::string why = "the daemon ends the connection (";
        why += nghttp2_http2_strerror(goaway.error_code);
        if (goaway.opaque_data_len > 0) {
          why += ": ";
          why += Text(goaway.opaque_data, goaway.opaque_data_len);
        }
        self.End(why + ")");
        return;
      }
      case NGHTTP2_HEADERS:
        if (!ours || self.http_status_.starts_with('1')) return;
        if (self.http_status_ != "200") {
          self.End("HTTP status " + self.http_status_);
        } else if (!self.content_type_.starts_with(kContentType)) {
          self.End("the answer is no gRPC but \"" + self.content_type_ + "\"");
        }
        break;
      case NGHTTP2_RST_STREAM:
        if (!ours) return;
        self.End(std::string("the daemon reset the stream (") +
                 nghttp2_http2_strerror(frame.rst_stream.error_code) + ")");
        return;
      default:
        break;
    }
    if (ours && (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      self.EndOfStream();
    }
  }

  static int OnStreamClose(nghttp2_session*, int32_t stream, uint32_t code,
                           void* data) {
    auto* self = static_cast<Http2Session*>(data);
    if (stream != self->stream_) return 0;
    return Guarded([&] {
      self->End(self->fault_.empty() ? nghttp2_http2_strerror(code)
                                     : self->fault_);
      return 0;
    });
  }

  static int OnError(nghttp2_session*, int, const char* message, size_t size,
                     void* data) {
    auto* self = static_cast<Http2Session*>(data);
    return Guarded([&] {
      self->fault_ = "malformed answer: ";
      self->fault_.append(message, std::min<size_t>(size, 200));
      return 0;
    });
  }

  static ssize_t OnRead(nghttp2_session*, int32_t, uint8_t* buffer, size_t size,
                        uint32_t* flags, nghttp2_data_source*, void* data) {
    auto* self = static_cast<Http2Session*>(data);
    const size_t left = self->outgoing_.size() - self->outgoing_taken_;
    if (left == 0) {
      if (!self->finishing_) return NGHTTP2_ERR_DEFERRED;
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      return 0;
    }
    const size_t taken = std::min(size, left);
    std::memcpy(buffer, self->outgoing_.data() + self->outgoing_taken_, taken);
    self->outgoing_taken_ += taken;
    return static_cast<ssize_t>(taken);
  }
};

Http2Session::Http2Session(const std::string& scheme,
                           const std::string& authority,
                           const std::string& token) {
  nghttp2_session_callbacks* callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_header_callback(callbacks,
                                                   Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks,
                                                            Callbacks::OnData);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks,
                                                       Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, Callbacks::OnStreamClose);
  nghttp2_session_callbacks_set_error_callback2(callbacks, Callbacks::OnError);
  const int made = nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) throw std::bad_alloc();

  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
  };
  const std::string agent = std::string("muster/") + Version();
  const std::string bearer = "Bearer " + token;
  std::vector<nghttp2_nv> headers = {
      Header(":method", "POST"),   Header(":scheme", scheme),
      Header(":path", kMethod),    Header(":authority", authority),
      Header("te", "trailers"),    Header("content-type", kContentType),
      Header("user-agent", agent),
  };
  if (!token.empty()) {
    headers.push_back(Header("authorization", bearer));
    headers.back().flags = NGHTTP2_NV_FLAG_NO_INDEX;
  }
  nghttp2_data_provider body = {};
  body.read_callback = Callbacks::OnRead;
  if (nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings,
                              std::size(settings)) != 0 ||
      (stream_ = nghttp2_submit_request(session_, nullptr, headers.data(),
                                        headers.size(), &body, nullptr)) < 0) {
    nghttp2_session_del(session_);
    throw std::bad_alloc();
  }
}

Http2Session::~Http2Session() { nghttp2_session_del(session_); }

void Http2Session::Receive(const uint8_t* data, size_t size) {
  if (closed_) return;
  const ssize_t taken = nghttp2_session_mem_recv(session_, data, size);
  if (taken < 0) {
    End(fault_.empty() ? std::string("malformed answer: ") +
                             nghttp2_strerror(static_cast<int>(taken))
                       : fault_);
  } else {
    EndIfUseless();
  }
}

void Http2Session::Fail(std::string_view why) { End(why); }

void Http2Session::Send(std::string_view message) {
  outgoing_ = FrameMessage(message);
  outgoing_taken_ = 0;
  sending_ = true;
  nghttp2_session_resume_data(session_, stream_);
}

void Http2Session::FinishSending() {
  finishing_ = true;
  nghttp2_session_resume_data(session_, stream_);
}

void Http2Session::Ping() {
  if (nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr) == 0) {
    ping_outstanding_ = true;
  }
}

void Http2Session::TakeOutput(std::string* output) {
  while (!closed_ && output->size() < kOutputBytes) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) End(nghttp2_strerror(static_cast<int>(size)));
    if (size == 0) EndIfUseless();
    if (size <= 0) return;
    output->append(Text(data, static_cast<size_t>(size)));
  }
}

void Http2Session::Flushed() {
  if (closed_ || !sending_ || outgoing_taken_ < outgoing_.size()) return;
  sending_ = false;
  events_.push_back({TransportEvent::Kind::kSent, ""});
}

std::optional<TransportEvent> Http2Session::NextEvent() {
  if (events_.empty()) return std::nullopt;
  TransportEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Http2Session::End(std::string_view why) {
  if (std::exchange(closed_, true)) return;
  events_.push_back({TransportEvent::Kind::kClosed, OneLine(why)});
}

void Http2Session::EndIfUseless() {
  if (nghttp2_session_want_read(session_) != 0) return;
  End(fault_.empty() ? "malformed answer" : fault_);
}

void Http2Session::EndOfStream() {
  if (grpc_status_.empty()) {
    End("stream ended without a status");
  } else if (grpc_status_ != "0") {
    std::string why = "gRPC status " + grpc_status_;
    if (!grpc_message_.empty()) why += ": " + DecodePercent(grpc_message_);
    End(why);
  } else {
    End(reader_.between_messages() ? "stream ended"
                                   : "stream ended inside a message");
  }
}

}  // namespace muster
