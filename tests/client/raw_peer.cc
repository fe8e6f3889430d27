#include "tests/client/raw_peer.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace muster {
namespace wire {

std::string Number(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) {
    text.push_back(static_cast<char>(value >> (8 * i)));
  }
  return text;
}

std::string Frame(Type type, uint8_t flags, uint32_t stream,
                  const std::string& payload) {
  return Number(static_cast<uint32_t>(payload.size()), 3) + Number(type, 1) +
         Number(flags, 1) + Number(stream, 4) + payload;
}

std::string Settings(const std::string& payload) {
  return Frame(kSettings, kNone, 0, payload);
}

std::string Headers(
    const std::vector<std::pair<std::string, std::string>>& fields,
    bool end_stream) {
  std::string block;
  for (const auto& [name, value] : fields) {
    block += Number(0, 1);
    block += Number(static_cast<uint32_t>(name.size()), 1) + name;
    block += Number(static_cast<uint32_t>(value.size()), 1) + value;
  }
  return Frame(kHeaders, kEndHeaders | (end_stream ? kEndStream : kNone), 1,
               block);
}

std::string GoodHeaders() {
  return Headers({{":status", "200"}, {"content-type", "application/grpc"}});
}

std::string Message(const std::string& message) {
  return Frame(kData, kNone, 1,
               Number(0, 1) + Number(static_cast<uint32_t>(message.size()), 4) +
                   message);
}

std::string Trailers(const std::string& status, const std::string& text) {
  return Headers({{"grpc-status", status}, {"grpc-message", text}}, true);
}

std::string Goaway(uint32_t last_stream, uint32_t code,
                   const std::string& text) {
  return Frame(kGoaway, kNone, 0,
               Number(last_stream, 4) + Number(code, 4) + text);
}

std::string Reset(uint32_t code) {
  return Frame(kReset, kNone, 1, Number(code, 4));
}

}  // namespace wire

namespace {

bool ReadExactly(int socket, size_t size, std::string* bytes) {
  bytes->resize(size);
  return recv(socket, bytes->data(), size, MSG_WAITALL) ==
         static_cast<ssize_t>(size);
}

}  // namespace

RawPeer::RawPeer(std::function<void(int)> script) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(name);
  EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&name), length), 0);
  EXPECT_EQ(listen(listener_, 16), 0);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &length);
  port_ = ntohs(name.sin_port);
  thread_ = std::thread([this, script = std::move(script)] {
    int connection = -1;
    while ((connection = accept(listener_, nullptr, nullptr)) >= 0) {
      connection_ = connection;
      if (!stopping_) script(connection);
      connection_ = -1;
      close(connection);
    }
  });
}

RawPeer::~RawPeer() {
  stopping_ = true;
  shutdown(listener_, SHUT_RDWR);
  const int connection = connection_;
  if (connection >= 0) shutdown(connection, SHUT_RDWR);
  thread_.join();
  close(listener_);
}

bool RawPeer::ReadRequest(int socket) {
  std::string bytes;
  if (!ReadExactly(socket, 24, &bytes)) return false;
  while (ReadExactly(socket, 9, &bytes)) {
    const auto at = [&](int i) { return static_cast<uint8_t>(bytes[i]); };
    const size_t size = at(0) << 16 | at(1) << 8 | at(2);
    const uint8_t type = at(3);
    if (!ReadExactly(socket, size, &bytes)) return false;
    if (type == wire::kHeaders) return true;
  }
  return false;
}

bool RawPeer::Write(int socket, const std::string& bytes) {
  return send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

void RawPeer::Drain(int socket) {
  char buffer[4096];
  while (recv(socket, buffer, sizeof(buffer), 0) > 0) {
  }
}

}  // namespace muster
