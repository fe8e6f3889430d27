// The transport that the client uses: gRPC's wire protocol, no thread of its
// own.
#ifndef MUSTER_CLIENT_SRC_HTTP2_TRANSPORT_H_
#define MUSTER_CLIENT_SRC_HTTP2_TRANSPORT_H_

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/src/address.h"
#include "client/src/event_descriptor.h"
#include "client/src/http2_session.h"
#include "client/src/lookup.h"
#include "client/src/socket.h"
#include "client/src/tls_session.h"
#include "client/src/transport.h"

namespace muster {

// Sockets and deadlines around an Http2Session, and a TlsSession if the address
// says so. Owned and driven by the sender thread. A name is looked up on a
// second thread, which lives as long as the look-up.
class Http2Transport final : public Transport {
 public:
  struct Limits {
    // For the look-up, TCP, TLS and the daemon's first word of HTTP/2 together.
    std::chrono::milliseconds connect{5'000};
    // Silence on an open stream before it is asked for a sign of life. The
    // daemon permits a ping every 10 s.
    std::chrono::milliseconds keepalive{30'000};
    // For that sign.
    std::chrono::milliseconds keepalive_answer{10'000};
  };

  // Throws std::system_error if there is no descriptor to be had.
  Http2Transport(Address address, TlsFiles files, Limits limits,
                 ResolveFunction resolve = Resolve);
  ~Http2Transport() override;

  void Open() override;
  void Send(std::string message) override;
  void FinishSending() override;
  TransportEvent Wait(std::chrono::steady_clock::time_point deadline) override;
  void Close() override;
  void Wake() override;

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  // After a wake-up the thread only dozes for a while: it will look by itself,
  // and who wakes it again has no system call to pay for.
  enum class Sleep {
    kDeep,    // Wake() has to write to the eventfd
    kDoze,    // Wake() has only to say so here
    kCalled,  // it has
  };

  // The look-up has ended.
  void Resolved();
  // Tries addresses_ from next_address_ on.
  void Connect();
  // The socket is connected: begins TLS, or else HTTP/2.
  void Begin();
  // False if there was nothing to read.
  bool Read();
  void Write();
  // Does what time demands; returns when to look again.
  TimePoint Tick(TimePoint now);
  // Sleeps until `until`; true if Wake() was called. While dozing it returns
  // when that ends.
  bool Poll(TimePoint until);
  void Doze();
  // True if Wake() was called meanwhile: then it dozes again.
  bool EndDoze();
  void Fail(const std::string& why);
  std::optional<TransportEvent> NextEvent();

  const Address address_;
  const TlsFiles files_;
  const Limits limits_;
  const ResolveFunction resolve_;
  const EventDescriptor wake_;
  std::atomic<Sleep> sleep_ = Sleep::kDeep;
  bool dozing_ = false;
  TimePoint doze_until_;

  // Goes on when its attempt to open is given up: one at a time.
  std::unique_ptr<Lookup> lookup_;
  bool looking_up_ = false;
  std::vector<SocketAddress> addresses_;
  size_t next_address_ = 0;
  std::optional<std::string> failure_;  // before there is a session to say it
  Socket socket_;
  bool connecting_ = false;
  std::unique_ptr<TlsSession> tls_;        // only of a tls:// address
  std::unique_ptr<Http2Session> session_;  // once connected
  std::string token_;                      // of this connection
  std::string output_;                     // for the socket
  size_t output_written_ = 0;
  TimePoint open_by_;          // until the stream is open
  TimePoint next_address_at_;  // while connecting
  TimePoint quiet_since_;      // the last byte that came
  TimePoint answer_by_;        // while a ping is outstanding
};

std::unique_ptr<Transport> MakeHttp2Transport(const Address& address,
                                              const TlsFiles& files);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_HTTP2_TRANSPORT_H_
