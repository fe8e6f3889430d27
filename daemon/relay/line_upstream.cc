// Line's side to upstream.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/relay/line.h"

namespace muster::relay {
namespace {

constexpr absl::Duration kFirstRetry = absl::Milliseconds(100);
constexpr absl::Duration kLongestRetry = absl::Seconds(2);
// What needs a person to change it is asked for less often.
constexpr absl::Duration kHopelessRetry = absl::Seconds(10);
constexpr absl::Duration kAnswerTimeout = absl::Seconds(10);
// A Goodbye is not acknowledged: a stream that lives on so long has taken it.
constexpr absl::Duration kTaken = absl::Seconds(1);

constexpr size_t kBatchBytes = size_t{512} << 10;
// Of the spool on their way at once.
constexpr size_t kDrainWindow = size_t{16} << 20;
// Tokens saved while nothing could be sent.
constexpr double kDrainBurstSeconds = 0.1;

void AppendVarint(uint64_t value, std::string& bytes) {
  while (value >= 0x80) {
    bytes.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  bytes.push_back(static_cast<char>(value));
}

// One element of v1::Reports. Protocol Buffers allow fields in any order and in
// pieces: the source number goes before what was kept without.
void AppendReport(uint32_t source, const std::string& report,
                  std::string& bytes) {
  std::string number(1, '\x08');
  AppendVarint(source, number);
  bytes.push_back('\x0a');
  AppendVarint(number.size() + report.size(), bytes);
  bytes += number;
  bytes += report;
}

bool IsForGood(v1::RefusalReason reason) {
  switch (reason) {
    case v1::TOO_MANY_RUNS:
    case v1::TOO_MANY_SOURCES:
      return false;
    default:
      return true;
  }
}

}  // namespace

void Line::OpenStream() {
  std::vector<std::string> via(via_.begin(), via_.end());
  via.push_back(around_.id);
  const uint64_t generation = ++generation_;
  const auto post = [this, generation, alive = alive_,
                     post = around_.post](auto action) {
    post([this, generation, alive, action = std::move(action)]() mutable {
      if (*alive && generation == generation_ && stream_ != nullptr) action();
    });
  };
  heard_ = writing_ = finishing_ = false;
  look_ = true;
  around_.tell(UpstreamState::kConnecting, "");
  stream_ = around_.upstream.Open(
      via, {.message =
                [this, post](v1::ServerMessage message) {
                  post([this, message = std::move(message)]() mutable {
                    OnMessage(std::move(message));
                  });
                },
            .written = [this, post] { post([this] { writing_ = false; }); },
            .closed =
                [this, post](StreamEnd end) {
                  post([this, end = std::move(end)] { OnClosed(end); });
                }});
}

void Line::OnMessage(v1::ServerMessage message) {
  if (!std::exchange(heard_, true)) {
    away_ = false;
    around_.tell(UpstreamState::kUp, "");
  }
  const auto find = [this](uint32_t number) {
    const auto found = sources_.find(number);
    return found == sources_.end() ? nullptr : &found->second;
  };
  switch (message.message_case()) {
    case v1::ServerMessage::kWelcome: {
      Source* source = find(message.welcome().source());
      if (source == nullptr || source->standing != Standing::kAsked) return;
      source->standing = Standing::kOpen;
      source->settled = std::max(source->settled, message.welcome().sequence());
      source->safe = std::max(source->safe, source->settled);
      Answer(*source);
      retry_delay_ = kFirstRetry;
      break;
    }
    case v1::ServerMessage::kAck: {
      Source* source = find(message.ack().source());
      if (source == nullptr) return;
      source->settled = std::max(source->settled, message.ack().sequence());
      source->safe = std::max(source->safe, source->settled);
      Answer(*source);
      break;
    }
    case v1::ServerMessage::kAlerts: {
      alerts_ = std::make_shared<const v1::Alerts>(
          std::move(*message.mutable_alerts()));
      Source* source = find(alerts_->source());
      if (source != nullptr && source->outbox != nullptr && source->welcomed) {
        source->outbox->ShowAlerts(source->local_number, alerts_);
      }
      return;
    }
    case v1::ServerMessage::kRefusal:
      OnRefusal(message.refusal());
      break;
    case v1::ServerMessage::MESSAGE_NOT_SET:
      return;
  }
  log_.Settle();
}

void Line::OnRefusal(const v1::Refusal& refusal) {
  ++around_.counts.refused[ingest::ReasonLabel(refusal.reason())];
  const auto found = sources_.find(refusal.source());
  if (found == sources_.end()) return;
  Source& source = found->second;
  const auto pass_on = [&] {
    if (source.outbox == nullptr) return;
    source.outbox->Refuse(source.local_number, refusal.sequence(),
                          refusal.reason(), refusal.detail());
  };
  if (refusal.reason() == v1::SUPERSEDED) {
    RefuseForGood(source, {refusal.reason(), refusal.detail()});
  } else if (refusal.reason() == v1::UNKNOWN_SOURCE) {
    OnClosed({.why = absl::StrCat("upstream lost track of rank ",
                                  source.origin->rank)});
  } else if (source.standing != Standing::kAsked) {
    pass_on();
  } else if (IsForGood(refusal.reason())) {
    RefuseForGood(source, {refusal.reason(), refusal.detail()});
  } else if (!source.welcomed && source.outbox != nullptr &&
             source.last_id <= log_.settled_id()) {
    // Nothing is lost: its rank asks again.
    pass_on();
    source.ended = true;
    source.standing = Standing::kUnknown;
    Detach(source);
  } else {
    source.standing = Standing::kUnknown;
    source.ask_again = now() + kHopelessRetry;
    look_ = true;
    Answer(source);
  }
}

void Line::RefuseForGood(Source& source, ingest::Rejection why) {
  if (source.outbox != nullptr) {
    // One that has been welcomed comes back for the true answer.
    const bool comes_back = source.welcomed && why.reason != v1::SUPERSEDED;
    source.outbox->Refuse(source.local_number, 0,
                          comes_back ? v1::UNKNOWN_SOURCE : why.reason,
                          why.detail);
  }
  source.refused = std::move(why);
  source.forget = now() + absl::Minutes(1);
  source.ended = true;
  source.standing = Standing::kUnknown;
  Detach(source);
}

void Line::Reset() {
  ++generation_;
  stream_ = nullptr;
  log_.Rewind();
  for (auto& [number, source] : sources_) {
    source.standing = Standing::kUnknown;
    source.stated = 0;
  }
}

void Line::OnClosed(const StreamEnd& end) {
  Reset();
  if (end.done) {
    // It has taken what is not acknowledged, too.
    retry_at_ = now();
    return;
  }
  ++around_.counts.upstream_failures;
  away_ = true;
  around_.tell(end.state, end.why);
  const bool hopeless = end.state != UpstreamState::kAway;
  retry_delay_ = std::max(retry_delay_, kFirstRetry);
  const absl::Duration delay = hopeless ? kHopelessRetry : retry_delay_;
  // Some sooner and some later, so that they do not come all at once.
  retry_at_ = now() + delay * (0.5 + 0.5 * around_.random());
  retry_delay_ = std::min(2 * retry_delay_, kLongestRetry);
}

bool Line::IsSettled(const RunLog::Sent& sent) const {
  if (sent.kind != Entry::Kind::kReport) return now() >= sent.at + kTaken;
  const auto found = sources_.find(sent.source);
  return found == sources_.end() || found->second.refused ||
         sent.sequence <= found->second.settled;
}

void Line::OnForgotten(const RunLog::Sent& sent, std::optional<Where> lost) {
  if (sent.kind != Entry::Kind::kReport) return;
  const auto found = sources_.find(sent.source);
  Source* source = found == sources_.end() ? nullptr : &found->second;
  if (source != nullptr && sent.facts != nullptr) {
    source->settled_facts = sent.facts;
  }
  if (lost) {
    around_.counts.Drop(*lost);
  } else if (source == nullptr || sent.sequence > source->settled) {
    around_.counts.Drop(Where::kRefused);
  } else {
    ++around_.counts.forwarded;
  }
}

void Line::Write(const v1::ClientMessage& message) {
  writing_ = true;
  stream_->Write(message.SerializeAsString());
}

void Line::Send() {
  if (look_ && SendHello()) return;
  SendReports();
}

// A rank's processes are introduced in their order: the newer one would
// supersede the older, whose reports still wait.
bool Line::MayAsk(const Source& source) const {
  if (source.refused || source.standing != Standing::kUnknown ||
      now() < source.ask_again) {
    return false;
  }
  const bool has_unsent = source.last_id > log_.sent_id();
  if (source.outbox == nullptr && !has_unsent) return false;
  for (auto it = numbers_.lower_bound({source.origin->rank, 0});
       it != numbers_.end() && it->first.first == source.origin->rank; ++it) {
    const Source& other = sources_.at(it->second);
    if (it->second < source.origin->number && !other.refused &&
        other.last_id > log_.sent_id()) {
      return false;
    }
  }
  return true;
}

bool Line::SendHello() {
  bool later = false;
  for (auto& [number, source] : sources_) {
    if (MayAsk(source)) {
      Ask(source);
      return true;
    }
    later |= source.standing == Standing::kUnknown && !source.refused;
  }
  look_ = later;
  return false;
}

void Line::Ask(Source& source) {
  v1::ClientMessage message;
  v1::Hello* hello = message.mutable_hello();
  (void)hello->ParseFromString(source.origin->hello);
  v1::Facts facts;
  if (source.settled_facts != nullptr) {
    (void)facts.ParseFromString(source.settled_facts->bytes);
    source.stated = source.settled_facts->id;
  }
  hello->mutable_facts()->Swap(facts.mutable_facts());
  source.standing = Standing::kAsked;
  source.asked = now();
  Write(message);
}

void Line::SendFacts(Source& source, const StatedFacts& stated) {
  v1::ClientMessage message;
  (void)message.mutable_facts()->ParseFromString(stated.bytes);
  message.mutable_facts()->set_source(source.origin->number);
  source.stated = stated.id;
  Write(message);
}

bool Line::SendEnd(Source& source, const Entry& entry) {
  if (source.standing == Standing::kAsked) return false;
  // The end of the stream has said so already.
  const bool known = entry.kind == Entry::Kind::kLost || source.refused;
  if (source.standing == Standing::kUnknown && known) {
    log_.Advance(now());
    return true;
  }
  if (source.standing == Standing::kUnknown) {
    Ask(source);
    return true;
  }
  v1::ClientMessage message;
  if (entry.kind == Entry::Kind::kGoodbye) {
    (void)message.mutable_goodbye()->ParseFromString(*entry.bytes);
    message.mutable_goodbye()->set_source(source.origin->number);
  } else {
    message.mutable_disconnected()->set_source(source.origin->number);
  }
  source.standing = Standing::kUnknown;
  look_ = true;
  log_.Advance(now());
  Write(message);
  return true;
}

bool Line::TakeDrainToken() {
  const double rate = around_.options.drain_rate *
                      static_cast<double>(std::max<size_t>(sources_.size(), 1));
  const double elapsed = absl::ToDoubleSeconds(now() - drained_);
  drained_ = now();
  drain_tokens_ = std::min(drain_tokens_ + elapsed * rate,
                           std::max(1.0, rate * kDrainBurstSeconds));
  if (drain_tokens_ < 1 || log_.in_flight_bytes() >= kDrainWindow) return false;
  drain_tokens_ -= 1;
  return true;
}

void Line::SendReports() {
  const absl::Duration time = now();
  std::string reports;
  while (reports.size() < kBatchBytes) {
    const Entry* entry = log_.Next(time);
    if (entry == nullptr) break;
    const auto found = sources_.find(entry->origin->number);
    if (found == sources_.end() || found->second.refused ||
        (entry->kind == Entry::Kind::kReport &&
         entry->sequence <= found->second.settled)) {
      log_.Advance(time);
      continue;
    }
    Source& source = found->second;
    if (entry->kind != Entry::Kind::kReport) {
      if (!reports.empty() || !SendEnd(source, *entry) || writing_) break;
      continue;
    }
    if (source.standing != Standing::kOpen) {
      if (source.standing == Standing::kAsked &&
          time - source.asked > kAnswerTimeout) {
        OnClosed({.why = "no answer to Hello within 10 s"});
        return;
      }
      if (reports.empty() && MayAsk(source)) {
        Ask(source);
        return;
      }
      break;
    }
    if (source.stated != entry->facts->id) {
      if (!reports.empty()) break;
      SendFacts(source, *entry->facts);
      return;
    }
    if (log_.NextIsSpooled()) {
      if (!TakeDrainToken()) break;
    } else if (reports.empty() && fresh_bytes_ < kBatchBytes &&
               time - batch_since_ < around_.options.batch_delay) {
      break;
    }
    AppendReport(source.origin->number, *entry->bytes, reports);
    log_.Advance(time);
  }
  if (reports.empty()) return;
  fresh_bytes_ = 0;
  batch_since_ = time;
  std::string message(1, '\x12');  // ClientMessage.reports
  AppendVarint(reports.size(), message);
  message += reports;
  writing_ = true;
  stream_->Write(std::move(message));
}

}  // namespace muster::relay
