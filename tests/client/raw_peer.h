// The far end of a connection, byte by byte.
#ifndef MUSTER_TESTS_CLIENT_RAW_PEER_H_
#define MUSTER_TESTS_CLIENT_RAW_PEER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace muster {

// HTTP/2 frames of the daemon's, written down from RFC 9113 and 7541 rather
// than made by the library that the client uses. The call is stream 1.
namespace wire {

enum Type : uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
};
enum Flags : uint8_t { kNone = 0, kEndStream = 1, kAck = 1, kEndHeaders = 4 };

std::string Number(uint32_t value, int bytes);  // big endian
std::string Frame(Type type, uint8_t flags, uint32_t stream,
                  const std::string& payload);
std::string Settings(const std::string& payload = "");
// Literal fields without indexing. Texts below 127 bytes.
std::string Headers(
    const std::vector<std::pair<std::string, std::string>>& fields,
    bool end_stream = false);
// The head of a good answer.
std::string GoodHeaders();
// gRPC's prefix and `message` in one DATA frame.
std::string Message(const std::string& message);
std::string Trailers(const std::string& status, const std::string& text = "");
std::string Goaway(uint32_t last_stream, uint32_t code,
                   const std::string& text = "");
std::string Reset(uint32_t code);

}  // namespace wire

// Listens on a free port of the loopback and runs `script` on each connection,
// one after the other, on a thread of its own; closes it when `script` returns.
class RawPeer {
 public:
  explicit RawPeer(std::function<void(int socket)> script);
  ~RawPeer();

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // For scripts. Reads the client's frames up to the end of its HEADERS; false
  // at the end of the connection.
  static bool ReadRequest(int socket);
  static bool Write(int socket, const std::string& bytes);
  // Reads until the client closes.
  static void Drain(int socket);

 private:
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connection_ = -1;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace muster

#endif  // MUSTER_TESTS_CLIENT_RAW_PEER_H_
