#include "tests/client/fake_network.h"

#include <algorithm>
#include <utility>

namespace muster {
namespace {

using Kind = TransportEvent::Kind;

// Longest that a test waits for what must happen.
constexpr std::chrono::seconds kPatience{20};

}  // namespace

std::vector<std::pair<uint64_t, uint64_t>> FakeNetwork::Record::reports()
    const {
  std::vector<std::pair<uint64_t, uint64_t>> reports;
  for (const v1::ClientMessage& message : messages) {
    for (const v1::StepReport& report : message.reports().reports()) {
      reports.emplace_back(report.sequence(), report.step());
    }
  }
  return reports;
}

std::vector<v1::Hello> FakeNetwork::Record::hellos() const {
  std::vector<v1::Hello> hellos;
  for (const v1::ClientMessage& message : messages) {
    if (message.has_hello()) hellos.push_back(message.hello());
  }
  return hellos;
}

size_t FakeNetwork::Record::goodbyes() const {
  return std::count_if(
      messages.begin(), messages.end(),
      [](const auto& message) { return message.has_goodbye(); });
}

class FakeNetwork::Pipe : public Transport {
 public:
  explicit Pipe(FakeNetwork* network) : network_(*network) {
    std::lock_guard lock(network_.mutex_);
    network_.record_.destroyed = false;
  }

  ~Pipe() override {
    std::lock_guard lock(network_.mutex_);
    network_.record_.destroyed = true;
    network_.changed_.notify_all();
  }

  void Open() override {
    std::lock_guard lock(network_.mutex_);
    network_.record_.opens.push_back(network_.now_);
    network_.record_.finished_sending = false;
    if (network_.reachable_) {
      network_.open_ = true;
      network_.events_.push_back({Kind::kOpened, ""});
    } else if (!network_.hanging_) {
      network_.events_.push_back({Kind::kClosed, "unreachable"});
    }
    network_.changed_.notify_all();
  }

  void Send(std::string message) override {
    std::lock_guard lock(network_.mutex_);
    if (network_.stalled_) return;
    network_.events_.push_back({Kind::kSent, ""});
    network_.Take(message);
    network_.changed_.notify_all();
  }

  void FinishSending() override {
    std::lock_guard lock(network_.mutex_);
    network_.record_.finished_sending = true;
    network_.events_.push_back({Kind::kClosed, "stream ended"});
    network_.changed_.notify_all();
  }

  TransportEvent Wait(TimePoint deadline) override {
    std::unique_lock lock(network_.mutex_);
    const auto due = [&] {
      return !network_.events_.empty() || network_.woken_ ||
             network_.now_ >= deadline;
    };
    while (!due()) {
      network_.record_.sleeping_until = deadline;
      network_.changed_.notify_all();
      network_.changed_.wait(lock);
    }
    network_.record_.sleeping_until.reset();
    if (!network_.events_.empty()) {
      TransportEvent event = std::move(network_.events_.front());
      network_.events_.pop_front();
      return event;
    }
    if (std::exchange(network_.woken_, false)) return {Kind::kWoken, ""};
    return {};
  }

  void Close() override {
    std::lock_guard lock(network_.mutex_);
    network_.open_ = false;
    network_.events_.clear();
  }

  void Wake() override {
    std::lock_guard lock(network_.mutex_);
    network_.woken_ = true;
    ++network_.record_.wakes;
    network_.record_.sleeping_until.reset();
    network_.changed_.notify_all();
  }

 private:
  FakeNetwork& network_;
};

TransportFactory FakeNetwork::factory() {
  return [this] { return std::make_unique<Pipe>(this); };
}

Clock FakeNetwork::clock() {
  return [this] { return now(); };
}

void FakeNetwork::Take(const std::string& bytes) {
  v1::ClientMessage message;
  if (!message.ParseFromString(bytes)) {
    events_.push_back({Kind::kClosed, "no message"});
    return;
  }
  v1::ServerMessage answer;
  if (message.has_hello() && refusal_ != v1::REFUSAL_REASON_UNSPECIFIED) {
    answer.mutable_refusal()->set_source(message.hello().source());
    answer.mutable_refusal()->set_reason(refusal_);
    answer.mutable_refusal()->set_detail("as the test wants");
    Answer(answer);
  } else if (message.has_hello()) {
    answer.mutable_welcome()->set_source(message.hello().source());
    answer.mutable_welcome()->set_sequence(welcome_sequence_.value_or(kept_));
    Answer(answer);
  } else if (message.has_reports() && acknowledging_) {
    const v1::StepReport& last = *message.reports().reports().rbegin();
    kept_ = last.sequence();
    answer.mutable_ack()->set_source(last.source());
    answer.mutable_ack()->set_sequence(kept_);
    Answer(answer);
  }
  record_.messages.push_back(std::move(message));
}

void FakeNetwork::Answer(const v1::ServerMessage& message) {
  events_.push_back({Kind::kMessage, message.SerializeAsString()});
}

void FakeNetwork::SetReachable(bool reachable, bool hanging) {
  std::lock_guard lock(mutex_);
  reachable_ = reachable;
  hanging_ = hanging;
}

void FakeNetwork::SetAcknowledging(bool acknowledging) {
  std::lock_guard lock(mutex_);
  acknowledging_ = acknowledging;
}

void FakeNetwork::SetWelcomeSequence(uint64_t sequence) {
  std::lock_guard lock(mutex_);
  welcome_sequence_ = sequence;
}

void FakeNetwork::RefuseHello(v1::RefusalReason reason) {
  std::lock_guard lock(mutex_);
  refusal_ = reason;
}

void FakeNetwork::SetStalled(bool stalled) {
  std::lock_guard lock(mutex_);
  stalled_ = stalled;
}

void FakeNetwork::Break() {
  std::lock_guard lock(mutex_);
  if (!std::exchange(open_, false)) return;
  events_.push_back({Kind::kClosed, "broken by the test"});
  record_.sleeping_until.reset();
  changed_.notify_all();
}

void FakeNetwork::Say(const v1::ServerMessage& message) {
  SayBytes(message.SerializeAsString());
}

void FakeNetwork::SayBytes(const std::string& bytes) {
  std::lock_guard lock(mutex_);
  events_.push_back({Kind::kMessage, bytes});
  record_.sleeping_until.reset();
  changed_.notify_all();
}

void FakeNetwork::Advance(std::chrono::milliseconds time) {
  std::lock_guard lock(mutex_);
  now_ += time;
  if (record_.sleeping_until && *record_.sleeping_until <= now_) {
    record_.sleeping_until.reset();
  }
  changed_.notify_all();
}

bool FakeNetwork::AdvanceToDeadline(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  const bool settled = changed_.wait_for(lock, kPatience, [&] {
    return record_.sleeping_until.has_value() || record_.destroyed;
  });
  if (!settled || record_.destroyed || *record_.sleeping_until > now_ + limit) {
    return false;
  }
  now_ = *std::exchange(record_.sleeping_until, std::nullopt);
  changed_.notify_all();
  return true;
}

bool FakeNetwork::WaitFor(const std::function<bool(const Record&)>& condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return condition(record_); });
}

FakeNetwork::Record FakeNetwork::record() const {
  std::lock_guard lock(mutex_);
  return record_;
}

FakeNetwork::TimePoint FakeNetwork::now() const {
  std::lock_guard lock(mutex_);
  return now_;
}

}  // namespace muster
