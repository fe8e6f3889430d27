#include "client/src/sender.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace muster {
namespace {

using std::chrono::milliseconds;

// While nothing is due, the thread sleeps this long at a time.
constexpr std::chrono::hours kIdle{1};

// Blocks all signals for its lifetime: threads started meanwhile leave the
// host's signals to the host's threads.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }

 private:
  sigset_t previous_;
};

}  // namespace

Sender::Sender(const Options& options, uint64_t incarnation, ReportRing* ring,
               DeviceSketch* device, ClientStatus* status,
               TransportFactory transport, Clock clock, uint64_t seed)
    : address_(options.address),
      log_(options.log),
      flush_timeout_(options.flush_timeout),
      ring_(ring),
      device_(device),
      status_(status),
      factory_(std::move(transport)),
      clock_(std::move(clock)),
      conversation_(options, incarnation, ring, status,
                    [this](const std::string& line) { Log(line); }),
      open_reports_(options.sketch, ring, device, status),
      random_(static_cast<std::minstd_rand::result_type>(seed)),
      retry_at_(clock_()) {
  const SignalsBlocked blocked;
  thread_ = std::thread([this] { Run(); });
  thread_id_ = thread_.get_id();
}

Sender::~Sender() { Stop(); }

void Sender::Wake() {
  MutexLock lock(transport_mutex_);
  if (transport_ != nullptr) transport_->Wake();
}

void Sender::Stop() {
  if (!stopping_) {
    flush_until_ = clock_() + flush_timeout_;
    stopping_ = true;
  }
  Wake();
  // From the host's log function, which runs on the sender thread, a join would
  // never end.
  if (std::this_thread::get_id() == thread_id_) return;
  MutexLock lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void Sender::Run() {
  pthread_setname_np(pthread_self(), "muster");
  // On waking, a batch thread does not take the core from the training thread
  // that woke it. Where it is not allowed, steps are a little slower.
  const sched_param no_priority = {};
  (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &no_priority);
  try {
    const std::unique_ptr<Transport> transport = factory_();
    {
      MutexLock lock(transport_mutex_);
      transport_ = transport.get();
    }
    try {
      Converse(*transport);
    } catch (...) {
      Log("internal error; this process is not watched any more");
    }
    {
      MutexLock lock(transport_mutex_);
      transport_ = nullptr;
    }
    transport->Close();
    conversation_.Lost();
  } catch (...) {
    Log("internal error; this process is not watched");
  }
  status_->silent = true;
  ring_->Close();
}

void Sender::Converse(Transport& transport) {
  while (!Finished()) {
    look_again_ = open_reports_.Advance(clock_());
    const std::string news = device_->TakeNews();
    if (!news.empty()) Log(news);
    Act(transport);
    if (Finished()) break;
    Handle(transport, transport.Wait(std::min(Deadline(), look_again_)));
  }
  if (!status_->silent && conversation_.welcomed()) Leave(transport);
}

bool Sender::Finished() const {
  if (status_->silent) return true;
  if (!stopping_) return false;
  if (slow_ || clock_() >= flush_until_.load()) return true;
  // With all settled, only the Goodbye is left: it needs a stream if the daemon
  // has ever heard of this source.
  return ring_->counts().queued == 0 &&
         (conversation_.welcomed() || !conversation_.known());
}

Sender::TimePoint Sender::Deadline() const {
  TimePoint deadline = clock_() + kIdle;
  if (phase_ == Phase::kWaiting) {
    deadline = retry_at_;
  } else if (!conversation_.welcomed()) {
    deadline = give_up_at_;
  }
  return stopping_ ? std::min(deadline, flush_until_.load()) : deadline;
}

void Sender::Act(Transport& transport) {
  const TimePoint now = clock_();
  if (phase_ != Phase::kWaiting && !conversation_.welcomed() &&
      now >= give_up_at_) {
    Lost(transport, phase_ == Phase::kOpening ? "no connection within 5 s"
                                              : "no answer within 5 s");
  }
  // Skips one wait for Stop(), also one that begins only after it: there is no
  // time for a long one before the flush ends.
  if (stopping_ && phase_ == Phase::kWaiting &&
      !std::exchange(hurried_, true)) {
    retry_at_ = now;
    retry_delay_ = kFirstRetry;
  }
  if (phase_ == Phase::kWaiting) {
    if (now < retry_at_) return;
    phase_ = Phase::kOpening;
    slow_ = false;
    give_up_at_ = now + kConnectTimeout;
    transport.Open();
  } else if (std::string message; phase_ == Phase::kOpen && !sending_ &&
                                  conversation_.Next(&message)) {
    Send(transport, std::move(message));
  }
}

void Sender::Handle(Transport& transport, const TransportEvent& event) {
  switch (event.kind) {
    case TransportEvent::Kind::kTimeout:
    case TransportEvent::Kind::kWoken:
      return;
    case TransportEvent::Kind::kOpened:
      phase_ = Phase::kOpen;
      give_up_at_ = clock_() + kConnectTimeout;
      Send(transport, conversation_.Open());
      return;
    case TransportEvent::Kind::kSent:
      sending_ = false;
      conversation_.Sent();
      return;
    case TransportEvent::Kind::kMessage:
      Obey(transport, conversation_.Receive(event.text));
      return;
    case TransportEvent::Kind::kClosed:
      Lost(transport, event.text);
      return;
  }
}

void Sender::Obey(Transport& transport, Conversation::Verdict verdict) {
  switch (verdict) {
    case Conversation::Verdict::kGoOn:
      // A stream that got as far as an Ack is no failed attempt.
      if (conversation_.acknowledged()) retry_delay_ = kFirstRetry;
      return;
    case Conversation::Verdict::kReconnect:
      Lost(transport, "the daemon lost track of this stream");
      return;
    case Conversation::Verdict::kRetrySlowly:
      logged_unreachable_ = true;  // the refusal has been told
      Lost(transport, "refused");
      slow_ = true;
      retry_at_ = clock_() + 2 * Jittered(kSlowRetry);
      return;
    case Conversation::Verdict::kFallSilent:
      status_->silent = true;
      return;
  }
}

void Sender::Send(Transport& transport, std::string message) {
  sending_ = true;
  transport.Send(std::move(message));
}

void Sender::Lost(Transport& transport, const std::string& why) {
  transport.Close();
  if (!conversation_.known() && !std::exchange(logged_unreachable_, true)) {
    Log("cannot reach the daemon at " + address_ + " (" + why +
        "); training goes on, and so do the attempts");
  }
  conversation_.Lost();
  phase_ = Phase::kWaiting;
  sending_ = false;
  slow_ = false;
  retry_at_ = clock_() + Jittered(retry_delay_);
  retry_delay_ = std::min(2 * retry_delay_, kLongestRetry);
}

void Sender::Leave(Transport& transport) {
  const TimePoint until =
      std::max(flush_until_.load(), clock_() + kGoodbyeGrace);
  bool said = false;
  while (clock_() < until) {
    if (!sending_ && !said) {
      Send(transport, conversation_.Goodbye());
      said = true;
    }
    const TransportEvent event = transport.Wait(until);
    if (event.kind == TransportEvent::Kind::kClosed) return;
    if (event.kind == TransportEvent::Kind::kMessage) {
      conversation_.Receive(event.text);
    } else if (event.kind == TransportEvent::Kind::kSent) {
      sending_ = false;
      conversation_.Sent();
      if (said) transport.FinishSending();
    }
  }
}

milliseconds Sender::Jittered(milliseconds delay) {
  const auto half = delay.count() / 2;
  return milliseconds(std::uniform_int_distribution<int64_t>(
      delay.count() - half, delay.count())(random_));
}

void Sender::Log(const std::string& line) const {
  try {
    if (log_) {
      log_(line);
    } else {
      std::fprintf(stderr, "muster: %s\n", line.c_str());
    }
  } catch (...) {
    // The host's own function: its failure is not ours to pass on.
  }
}

}  // namespace muster
