#include "daemon/ingest/outbox.h"

#include <algorithm>

#include "daemon/wire/alert_proto.h"

namespace muster::ingest {
namespace {

constexpr size_t kMaxRefusals = 1024;

// A firing set of a run with thousands of ranks must fit into a message.
constexpr int kMaxShownRanks = 256;

}  // namespace

Outbox::Outbox(std::function<void()> wake, size_t max_sources)
    : wake_(std::move(wake)), max_sources_(max_sources) {}

void Outbox::Welcome(uint32_t source, uint64_t sequence) {
  v1::ServerMessage message;
  message.mutable_welcome()->set_source(source);
  message.mutable_welcome()->set_sequence(sequence);
  Append(std::move(message), kMaxRefusals + max_sources_);
}

void Outbox::Refuse(uint32_t source, uint64_t sequence,
                    v1::RefusalReason reason, std::string detail) {
  v1::ServerMessage message;
  v1::Refusal* refusal = message.mutable_refusal();
  refusal->set_source(source);
  refusal->set_sequence(sequence);
  refusal->set_reason(reason);
  refusal->set_detail(std::move(detail));
  Append(std::move(message), kMaxRefusals);
}

void Outbox::Append(v1::ServerMessage message, size_t limit) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (closed_ || ordered_.size() >= limit) return;
    ordered_.push_back(std::move(message));
    wake = BeginTurn();
  }
  if (wake) wake_();
}

void Outbox::Acknowledge(uint32_t source, uint64_t sequence) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    uint64_t* newest = acknowledged_.Find(source, max_sources_);
    if (newest == nullptr) return;
    *newest = std::max(*newest, sequence);
    wake = BeginTurn();
  }
  if (wake) wake_();
}

void Outbox::ShowAlerts(
    uint32_t source, std::string run,
    std::shared_ptr<const std::vector<alert::Alert>> alerts) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    Firing* newest = firing_.Find(source, max_sources_);
    if (newest == nullptr) return;
    *newest = {std::move(run), std::move(alerts)};
    wake = BeginTurn();
  }
  if (wake) wake_();
}

bool Outbox::BeginTurn() {
  if (writing_ || empty()) return false;
  writing_ = true;
  return true;
}

Outbox::Taken Outbox::Take() {
  MutexLock lock(mutex_);
  v1::ServerMessage message;
  if (closed_ || empty()) {
    writing_ = false;
    return {.message = std::nullopt, .closed = closed_};
  }
  if (!ordered_.empty()) {
    message = std::move(ordered_.front());
    ordered_.pop_front();
  } else if (firing_.empty() || (!firing_next_ && !acknowledged_.empty())) {
    const auto [source, sequence] = acknowledged_.Take();
    message.mutable_ack()->set_source(source);
    message.mutable_ack()->set_sequence(sequence);
    firing_next_ = true;
  } else {
    const auto [source, firing] = firing_.Take();
    v1::Alerts* alerts = message.mutable_alerts();
    alerts->set_source(source);
    firing_next_ = false;
    for (const alert::Alert& alert : *firing.alerts) {
      v1::Alert* shown = alerts->add_alerts();
      *shown = wire::ToProto(firing.run, alert);
      if (shown->ranks_size() > kMaxShownRanks) {
        shown->mutable_ranks()->Truncate(kMaxShownRanks);
      }
    }
  }
  return {.message = std::move(message), .more = !empty()};
}

bool Outbox::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  ordered_.clear();
  acknowledged_.Clear();
  firing_.Clear();
  return !writing_;
}

}  // namespace muster::ingest
