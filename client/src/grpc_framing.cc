#include "client/src/grpc_framing.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace muster {
namespace {

constexpr size_t kPrefixBytes = 5;
constexpr size_t kMaxLineBytes = 256;

size_t AnnouncedBytes(const std::string& prefix) {
  size_t bytes = 0;
  for (size_t i = 1; i < kPrefixBytes; ++i) {
    bytes = bytes << 8 | static_cast<uint8_t>(prefix[i]);
  }
  return bytes;
}

}  // namespace

std::string FrameMessage(std::string_view message) {
  const size_t bytes = message.size();
  std::string framed;
  framed.reserve(kPrefixBytes + bytes);
  framed.push_back(0);
  for (size_t i = 1; i < kPrefixBytes; ++i) {
    framed.push_back(static_cast<char>(bytes >> (8 * (kPrefixBytes - 1 - i))));
  }
  return framed.append(message);
}

bool MessageReader::Read(const uint8_t* data, size_t size,
                         std::vector<std::string>* messages,
                         std::string* error) {
  const char* bytes = reinterpret_cast<const char*>(data);
  while (size > 0) {
    size_t wanted = kPrefixBytes;
    if (buffer_.size() >= kPrefixBytes) wanted += AnnouncedBytes(buffer_);
    const size_t taken = std::min(size, wanted - buffer_.size());
    buffer_.append(bytes, taken);
    bytes += taken;
    size -= taken;
    if (buffer_.size() < kPrefixBytes) continue;
    if (buffer_[0] != 0) {
      *error = "the daemon sent a compressed message";
      return false;
    }
    const size_t announced = AnnouncedBytes(buffer_);
    if (announced > kMaxMessageBytes) {
      *error = "the daemon announced a message of " +
               std::to_string(announced) + " bytes; the limit is " +
               std::to_string(kMaxMessageBytes);
      return false;
    }
    if (buffer_.size() == kPrefixBytes + announced) {
      buffer_.erase(0, kPrefixBytes);
      messages->push_back(std::exchange(buffer_, {}));
    }
  }
  return true;
}

std::string DecodePercent(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      uint8_t byte = 0;
      const char* const end = text.data() + i + 3;
      if (std::from_chars(end - 2, end, byte, 16).ptr == end) {
        decoded.push_back(static_cast<char>(byte));
        i += 2;
        continue;
      }
    }
    decoded.push_back(text[i]);
  }
  return decoded;
}

std::string OneLine(std::string_view text) {
  std::string line(text.substr(0, kMaxLineBytes));
  for (char& character : line) {
    if (character < ' ' || character > '~') character = '?';
  }
  return line;
}

}  // namespace muster
