#include "client/src/http2_transport.h"

#include <poll.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace muster {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// An address that does not answer must not use up the time of the next.
constexpr milliseconds kAddressTimeout{1'000};
// How much later than the wake-up a report may leave whose predecessor has just
// woken the thread.
constexpr milliseconds kDoze{5};
constexpr size_t kReadBytes = size_t{16} << 10;

}  // namespace

Http2Transport::Http2Transport(Address address, TlsFiles files, Limits limits,
                               ResolveFunction resolve)
    : address_(std::move(address)),
      files_(std::move(files)),
      limits_(limits),
      resolve_(std::move(resolve)) {}

Http2Transport::~Http2Transport() { Close(); }

void Http2Transport::Open() {
  std::string error;
  if (address_.kind == Address::Kind::kTls) {
    std::string host;
    std::string port;
    SplitTarget(address_.target, &host, &port);
    tls_ = TlsSession::Create(files_, host, &error);
    if (tls_ == nullptr) return Fail(error);
  }
  token_.clear();
  if (!files_.token.empty() && !ReadToken(files_.token, &token_, &error)) {
    return Fail(error);
  }
  next_address_ = 0;
  open_by_ = steady_clock::now() + limits_.connect;
  addresses_ = ResolveNumber(address_);
  if (!addresses_.empty()) return Connect();
  try {
    if (lookup_ == nullptr) {
      lookup_ = std::make_unique<Lookup>(resolve_, address_);
    }
    looking_up_ = true;
  } catch (const std::system_error& exception) {
    Fail(exception.what());
  }
}

void Http2Transport::Resolved() {
  looking_up_ = false;
  std::optional<Lookup::Answer> answer = lookup_->Take();
  lookup_.reset();
  if (!answer) return Fail("the name service gives no answer");
  if (answer->addresses.empty()) return Fail(answer->error);
  addresses_ = std::move(answer->addresses);
  Connect();
}

void Http2Transport::Connect() {
  std::string error;
  while (next_address_ < addresses_.size()) {
    socket_.Close();
    connecting_ = socket_.Connect(addresses_[next_address_++], &error);
    if (connecting_) {
      next_address_at_ = steady_clock::now() + kAddressTimeout;
      return;
    }
  }
  Fail(error);
}

void Http2Transport::Begin() {
  std::string error;
  if (!socket_.Connected(&error)) {
    if (next_address_ < addresses_.size()) return Connect();
    return Fail(error);
  }
  connecting_ = false;
  const bool is_unix = address_.kind == Address::Kind::kUnix;
  session_ = std::make_unique<Http2Session>(
      tls_ == nullptr ? "http" : "https",
      is_unix ? "localhost" : address_.target, token_);
  std::string text;
  if (tls_ != nullptr && !tls_->Receive("", &text, &error)) Fail(error);
}

void Http2Transport::Send(std::string message) { session_->Send(message); }

void Http2Transport::FinishSending() { session_->FinishSending(); }

TransportEvent Http2Transport::Wait(TimePoint deadline) {
  bool polled = false;
  while (true) {
    if (session_ != nullptr) Write();
    const TimePoint now = steady_clock::now();
    const TimePoint due = Tick(now);
    if (std::optional<TransportEvent> event = NextEvent()) {
      if (event->kind == TransportEvent::Kind::kClosed) Close();
      return *std::move(event);
    }
    if (polled && now >= deadline) return {};
    polled = true;
    if (Poll(std::min(deadline, due))) {
      return {TransportEvent::Kind::kWoken, ""};
    }
  }
}

bool Http2Transport::Poll(TimePoint until) {
  if (dozing_) {
    if (steady_clock::now() >= doze_until_) return EndDoze();
    until = std::min(until, doze_until_);
  }
  // Rounded up, or the last millisecond would be spent in a loop.
  const auto left =
      std::chrono::ceil<milliseconds>(until - steady_clock::now());
  const int timeout = static_cast<int>(
      std::clamp<int64_t>(left.count(), 0, milliseconds(3'600'000).count()));
  const bool writing = connecting_ || output_written_ < output_.size();
  pollfd polled[2] = {
      {wake_.value(), POLLIN, 0},
      {looking_up_ ? lookup_->descriptor() : socket_.descriptor(),
       static_cast<short>((connecting_ ? 0 : POLLIN) | (writing ? POLLOUT : 0)),
       0}};
  if (poll(polled, 2, timeout) <= 0) return false;
  if (polled[1].revents != 0) {
    if (looking_up_) {
      Resolved();
    } else if (connecting_) {
      Begin();
    } else if ((polled[1].revents & ~POLLOUT) != 0) {
      Read();
    }
  }
  if (polled[0].revents == 0) return false;
  wake_.Clear();
  Doze();
  return true;
}

void Http2Transport::Doze() {
  // Before the caller looks for what there is to do: a Wake() that comes too
  // late for that look is found at the end of the doze.
  sleep_.exchange(Sleep::kDoze);
  dozing_ = true;
  doze_until_ = steady_clock::now() + kDoze;
}

bool Http2Transport::EndDoze() {
  Sleep not_called = Sleep::kDoze;
  if (sleep_.compare_exchange_strong(not_called, Sleep::kDeep)) {
    dozing_ = false;
    return false;
  }
  Doze();
  return true;
}

bool Http2Transport::Read() {
  char buffer[kReadBytes];
  std::string error;
  const ptrdiff_t count = socket_.Read(buffer, sizeof(buffer), &error);
  if (count < 0) Fail(error);
  if (count <= 0) return false;
  quiet_since_ = steady_clock::now();
  std::string_view bytes(buffer, static_cast<size_t>(count));
  std::string text;
  bool good = true;
  if (tls_ != nullptr) {
    good = tls_->Receive(bytes, &text, &error);
    bytes = text;
  }
  session_->Receive(reinterpret_cast<const uint8_t*>(bytes.data()),
                    bytes.size());
  if (!good) Fail(error);
  return true;
}

void Http2Transport::Write() {
  while (true) {
    if (output_written_ == output_.size()) {
      output_.clear();
      output_written_ = 0;
      std::string error;
      if (tls_ == nullptr) {
        session_->TakeOutput(&output_);
      } else {
        std::string text;
        if (tls_->ready()) session_->TakeOutput(&text);
        if (!text.empty() && !tls_->Send(text, &error)) return Fail(error);
        tls_->TakeOutput(&output_);
      }
      if (output_.empty()) return session_->Flushed();
    }
    std::string error;
    const ptrdiff_t count = socket_.Write(
        std::string_view(output_).substr(output_written_), &error);
    if (count < 0) {
      // What the daemon said before it went may still wait to be read.
      if (!Read()) Fail(error);
      return;
    }
    if (count == 0) return;
    output_written_ += static_cast<size_t>(count);
  }
}

Http2Transport::TimePoint Http2Transport::Tick(TimePoint now) {
  if (looking_up_) {
    if (now >= open_by_) Fail("no answer from the name service in time");
    return open_by_;
  }
  if (socket_.descriptor() < 0) return TimePoint::max();
  if (session_ == nullptr || !session_->open()) {
    if (now >= open_by_) Fail("no connection in time");
    if (!connecting_ || next_address_ >= addresses_.size()) return open_by_;
    if (now >= next_address_at_) Connect();
    return std::min(open_by_, next_address_at_);
  }
  if (!session_->ping_outstanding()) {
    const TimePoint due = quiet_since_ + limits_.keepalive;
    if (now < due) return due;
    session_->Ping();
    answer_by_ = now + limits_.keepalive_answer;
    Write();
  } else if (now >= answer_by_) {
    Fail("the daemon answers no ping");
  }
  return answer_by_;
}

void Http2Transport::Fail(const std::string& why) {
  if (session_ != nullptr) {
    session_->Fail(why);
  } else {
    failure_ = why;
  }
}

std::optional<TransportEvent> Http2Transport::NextEvent() {
  if (session_ != nullptr) return session_->NextEvent();
  if (!failure_) return std::nullopt;
  return TransportEvent{TransportEvent::Kind::kClosed,
                        OneLine(*std::exchange(failure_, std::nullopt))};
}

void Http2Transport::Close() {
  session_.reset();
  tls_.reset();
  socket_.Close();
  connecting_ = false;
  looking_up_ = false;
  addresses_.clear();
  failure_.reset();
  output_ = {};
  output_written_ = 0;
}

void Http2Transport::Wake() {
  if (sleep_.exchange(Sleep::kCalled) == Sleep::kDeep) wake_.Set();
}

std::unique_ptr<Transport> MakeHttp2Transport(const Address& address,
                                              const TlsFiles& files) {
  return std::make_unique<Http2Transport>(address, files,
                                          Http2Transport::Limits());
}

}  // namespace muster
