// One connection as httplib sees it, with deadlines that hold.
#ifndef MUSTER_DAEMON_WEB_SOCKET_STREAM_H_
#define MUSTER_DAEMON_WEB_SOCKET_STREAM_H_

#include <httplib.h>

#include <chrono>
#include <string>

#include "absl/time/time.h"

namespace muster::web {

// httplib's own stream waits with select(), which cannot take descriptors from
// 1,024 on (a daemon with a thousand ranks has them), and limits each wait but
// never the whole: a client that sends a byte now and then would keep its
// thread for ever. Thread-compatible; borrows the descriptor, which does not
// block.
class SocketStream : public httplib::Stream {
 public:
  SocketStream(int descriptor, absl::Duration read_timeout,
               absl::Duration write_timeout);

  // From now on all reading and writing has to be done within `timeout`.
  void StartRequest(absl::Duration timeout);
  // Whether the client sends something, or closes, within `timeout`.
  virtual bool WaitForRequest(absl::Duration timeout) const;

  bool is_readable() const override;
  bool is_writable() const override;
  // Bytes read, 0 at the end, -1 on errors and when time is up.
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  // The other end's address.
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  // None: httplib answers 500 where it sees a descriptor too large for select.
  socket_t socket() const override { return INVALID_SOCKET; }

 protected:
  // Waits until poll() reports `events`, `timeout` passes or the deadline of
  // the request.
  bool Wait(short events, absl::Duration timeout) const;
  absl::Duration read_timeout() const { return read_timeout_; }
  absl::Duration write_timeout() const { return write_timeout_; }

 private:
  using Clock = std::chrono::steady_clock;

  const int descriptor_;
  const absl::Duration read_timeout_;
  const absl::Duration write_timeout_;
  Clock::time_point deadline_ = Clock::time_point::max();
};

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_SOCKET_STREAM_H_
