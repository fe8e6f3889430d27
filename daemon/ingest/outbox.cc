#include "daemon/ingest/outbox.h"

#include <algorithm>

#include "daemon/wire/alert_proto.h"

namespace muster::ingest {
namespace {

constexpr size_t kMaxRefusals = 1024;

// Whether `map` may hold something for `source`.
template <typename Map>
bool HasRoom(const Map& map, uint32_t source, size_t max_sources) {
  return map.size() < max_sources || map.count(source) > 0;
}

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
    if (closed_ || !HasRoom(acknowledged_, source, max_sources_)) return;
    uint64_t& newest = acknowledged_[source];
    newest = std::max(newest, sequence);
    wake = BeginTurn();
  }
  if (wake) wake_();
}

void Outbox::ShowAlerts(
    uint32_t source, std::string run,
    std::shared_ptr<const std::vector<alert::Alert>> alerts) {
  ShowAlerts(source, Firing{std::move(run), std::move(alerts), nullptr});
}

void Outbox::ShowAlerts(uint32_t source,
                        std::shared_ptr<const v1::Alerts> alerts) {
  ShowAlerts(source, Firing{"", nullptr, std::move(alerts)});
}

void Outbox::ShowAlerts(uint32_t source, Firing firing) {
  bool wake = false;
  {
    MutexLock lock(mutex_);
    if (closed_ || !HasRoom(firing_, source, max_sources_)) return;
    firing_[source] = std::move(firing);
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
    return {std::nullopt, closed_};
  }
  if (!ordered_.empty()) {
    message = std::move(ordered_.front());
    ordered_.pop_front();
  } else if (!acknowledged_.empty()) {
    const auto first = acknowledged_.begin();
    message.mutable_ack()->set_source(first->first);
    message.mutable_ack()->set_sequence(first->second);
    acknowledged_.erase(first);
  } else {
    const auto first = firing_.begin();
    const auto& [run, alerts, ready] = first->second;
    v1::Alerts* shown = message.mutable_alerts();
    if (ready != nullptr) {
      *shown = *ready;
    } else {
      for (const alert::Alert& alert : *alerts) {
        v1::Alert* added = shown->add_alerts();
        *added = wire::ToProto(run, alert);
        if (added->ranks_size() > kMaxShownRanks) {
          added->mutable_ranks()->Truncate(kMaxShownRanks);
        }
      }
    }
    shown->set_source(first->first);
    firing_.erase(first);
  }
  return {std::move(message), false};
}

bool Outbox::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  ordered_.clear();
  acknowledged_.clear();
  firing_.clear();
  return !writing_;
}

}  // namespace muster::ingest
