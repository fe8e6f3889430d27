// A transport without a network, with a daemon behind it that the test holds in
// its hand, and a clock that moves only when the test says so.
#ifndef MUSTER_TESTS_CLIENT_FAKE_NETWORK_H_
#define MUSTER_TESTS_CLIENT_FAKE_NETWORK_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/src/sender.h"
#include "client/src/transport.h"
#include "muster/v1/telemetry.pb.h"

namespace muster {

// Thread-safe; outlives the clients that use it, one at a time. By default it
// can be reached, welcomes each Hello with what it has kept of it, and
// acknowledges each batch.
class FakeNetwork {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // All that has happened.
  struct Record {
    std::vector<v1::ClientMessage> messages;  // of all streams
    std::vector<TimePoint> opens;             // attempts, with their time
    std::optional<TimePoint> sleeping_until;  // the sender waits, nothing due
    uint64_t wakes = 0;                       // calls of Wake()
    bool finished_sending = false;            // of the last stream
    bool destroyed = false;                   // the transport

    // (sequence, step) of the reports, in the order received.
    std::vector<std::pair<uint64_t, uint64_t>> reports() const;
    std::vector<v1::Hello> hellos() const;
    size_t goodbyes() const;
  };

  TransportFactory factory();
  Clock clock();

  // Unreachable: attempts to open fail, or, if `hanging`, never end.
  void SetReachable(bool reachable, bool hanging = false);
  void SetAcknowledging(bool acknowledging);
  // What Welcome says instead of what was received.
  void SetWelcomeSequence(uint64_t sequence);
  // Answers Hello with this; UNSPECIFIED welcomes again.
  void RefuseHello(v1::RefusalReason reason);
  // Messages are not taken off the wire: a Send() never completes.
  void SetStalled(bool stalled);
  // Ends the open stream.
  void Break();
  // Sends an answer on the open stream.
  void Say(const v1::ServerMessage& message);
  void SayBytes(const std::string& bytes);

  void Advance(std::chrono::milliseconds time);
  // Waits until the sender sleeps, then moves the clock to the end of its
  // sleep. False if that is more than `limit` away, or the sender has ended.
  bool AdvanceToDeadline(std::chrono::milliseconds limit);

  // Waits until `condition` holds; false if it does not within 20 s.
  bool WaitFor(const std::function<bool(const Record&)>& condition);
  Record record() const;
  TimePoint now() const;

 private:
  class Pipe;  // the transport

  void Take(const std::string& bytes);
  void Answer(const v1::ServerMessage& message);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Record record_;
  std::deque<TransportEvent> events_;
  TimePoint now_{std::chrono::hours(1)};
  bool woken_ = false;
  bool open_ = false;
  bool reachable_ = true;
  bool hanging_ = false;
  bool acknowledging_ = true;
  bool stalled_ = false;
  uint64_t kept_ = 0;
  std::optional<uint64_t> welcome_sequence_;
  v1::RefusalReason refusal_ = v1::REFUSAL_REASON_UNSPECIFIED;
};

}  // namespace muster

#endif  // MUSTER_TESTS_CLIENT_FAKE_NETWORK_H_
