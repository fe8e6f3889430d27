// The one thread that talks to the daemon.
#ifndef MUSTER_CLIENT_SRC_SENDER_H_
#define MUSTER_CLIENT_SRC_SENDER_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <thread>

#include "client/src/client_status.h"
#include "client/src/conversation.h"
#include "client/src/device_sketch.h"
#include "client/src/mutex.h"
#include "client/src/open_reports.h"
#include "client/src/report_ring.h"
#include "client/src/transport.h"

namespace muster {

// Read by the sender thread and by Stop(); tests pass their own.
using Clock = std::function<std::chrono::steady_clock::time_point()>;

// Keeps a stream open, sends what the ring holds, and settles what the daemon
// has acknowledged; reconnects with exponential backoff and jitter. Thread-safe
// but for the constructor and destructor; owned by the client.
class Sender {
 public:
  static constexpr std::chrono::milliseconds kFirstRetry{100};
  static constexpr std::chrono::milliseconds kLongestRetry{10'000};
  // After a refusal that may pass.
  static constexpr std::chrono::seconds kSlowRetry{30};
  // For a stream to open, and again for the daemon to welcome it.
  static constexpr std::chrono::seconds kConnectTimeout{5};
  // For the Goodbye, where the flush has used up its time.
  static constexpr std::chrono::milliseconds kGoodbyeGrace{200};

  // Starts the thread. Borrows `ring`, `device` and `status`. Throws
  // std::system_error if there is no thread to be had. `seed` is for the
  // jitter.
  Sender(const Options& options, uint64_t incarnation, ReportRing* ring,
         DeviceSketch* device, ClientStatus* status, TransportFactory transport,
         Clock clock, uint64_t seed);
  ~Sender();

  // There is a new report.
  void Wake();
  // Flushes for at most the flush timeout, says Goodbye, ends the thread.
  void Stop();

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  enum class Phase { kWaiting, kOpening, kOpen };

  void Run();
  void Converse(Transport& transport);
  // Does what is due now: opens, gives up, sends.
  void Act(Transport& transport);
  void Handle(Transport& transport, const TransportEvent& event);
  void Obey(Transport& transport, Conversation::Verdict verdict);
  void Send(Transport& transport, std::string message);
  // The stream is gone or given up: waits before the next one.
  void Lost(Transport& transport, const std::string& why);
  void Leave(Transport& transport);
  bool Finished() const;
  TimePoint Deadline() const;
  // `delay` less up to half of it, so that ranks do not come back in step.
  std::chrono::milliseconds Jittered(std::chrono::milliseconds delay);
  void Log(const std::string& line) const;

  const std::string address_;
  const std::function<void(const std::string&)> log_;
  const std::chrono::milliseconds flush_timeout_;
  ReportRing* const ring_;
  DeviceSketch* const device_;
  ClientStatus* const status_;
  const TransportFactory factory_;
  const Clock clock_;

  // Of the sender thread.
  Conversation conversation_;
  OpenReports open_reports_;
  TimePoint look_again_ = TimePoint::max();  // at the open reports
  std::minstd_rand random_;
  Phase phase_ = Phase::kWaiting;
  bool sending_ = false;  // a message is in flight
  bool slow_ = false;     // refused, waiting for the slow retry
  bool hurried_ = false;  // has skipped a wait because of Stop()
  bool logged_unreachable_ = false;
  std::chrono::milliseconds retry_delay_ = kFirstRetry;
  TimePoint retry_at_;    // kWaiting: when to open
  TimePoint give_up_at_;  // not welcomed: when to give the stream up

  // Written before `stopping_`, read after it.
  std::atomic<TimePoint> flush_until_{TimePoint()};
  std::atomic<bool> stopping_ = false;

  Mutex transport_mutex_;
  Transport* transport_ ABSL_GUARDED_BY(transport_mutex_) = nullptr;

  Mutex join_mutex_;
  // Not asked of `thread_`, whose join writes it. Set by the constructor.
  std::thread::id thread_id_;
  std::thread thread_;  // last: starts when all else is there
};

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_SENDER_H_
