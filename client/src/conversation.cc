#include "client/src/conversation.h"

#include <unistd.h>

#include <utility>

#include "client/src/step_recorder.h"

namespace muster {
namespace {

v1::Hello MakeHello(const Options& options, uint64_t incarnation) {
  v1::Hello hello;
  hello.set_source(kSource);
  hello.set_run(options.run_id);
  hello.set_rank(options.rank);
  hello.set_world_size(options.world_size);
  hello.set_incarnation(incarnation);
  hello.mutable_sketch()->set_version(SketchSpec::kVersion);
  hello.mutable_sketch()->set_width(options.sketch.width);
  hello.mutable_sketch()->set_seed(options.sketch.seed);
  hello.set_parameter_count(options.parameter_count);
  char host[257] = {};
  if (gethostname(host, sizeof(host) - 1) == 0) hello.set_host(host);
  hello.set_pid(static_cast<uint32_t>(getpid()));
  hello.set_client_version(Version());
  return hello;
}

template <typename Message>
void AddFacts(const Facts& facts, Message* message) {
  for (const auto& [name, fact] : facts) {
    v1::Fact* added = message->add_facts();
    added->set_name(name);
    added->set_value(fact.value);
    added->set_shown_only(fact.shown_only);
  }
}

void AppendVarint(uint64_t value, std::string* bytes) {
  while (value >= 0x80) {
    bytes->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  bytes->push_back(static_cast<char>(value));
}

// Key of a length-delimited field below 16, then the length.
void AppendHeader(int field, uint64_t length, std::string* bytes) {
  bytes->push_back(static_cast<char>(field << 3 | 2));
  AppendVarint(length, bytes);
}

// ClientMessage { Reports { … } } around reports that are encoded already.
std::string Wrap(const std::vector<const Report*>& reports) {
  std::string body;
  size_t bytes = 0;
  for (const Report* report : reports) bytes += report->bytes.size() + 6;
  body.reserve(bytes);
  for (const Report* report : reports) {
    AppendHeader(v1::Reports::kReportsFieldNumber, report->bytes.size(), &body);
    body += report->bytes;
  }
  std::string message;
  message.reserve(body.size() + 6);
  AppendHeader(v1::ClientMessage::kReportsFieldNumber, body.size(), &message);
  return message += body;
}

std::vector<Alert> FromWire(const v1::Alerts& message) {
  std::vector<Alert> alerts;
  for (const v1::Alert& alert : message.alerts()) {
    alerts.push_back({.id = alert.id(),
                      .kind = alert.kind(),
                      .subject = alert.subject(),
                      .ranks = {alert.ranks().begin(), alert.ranks().end()},
                      .first_step = alert.first_step(),
                      .last_step = alert.last_step(),
                      .value = alert.value(),
                      .expected = alert.expected(),
                      .evidence = alert.evidence(),
                      .silent = alert.silent()});
  }
  return alerts;
}

}  // namespace

Conversation::Conversation(const Options& options, uint64_t incarnation,
                           ReportRing* ring, ClientStatus* status,
                           std::function<void(const std::string&)> log)
    : hello_(MakeHello(options, incarnation)),
      ring_(ring),
      status_(status),
      log_(std::move(log)) {}

std::string Conversation::Open() {
  Lost();
  next_sequence_ = 1;
  stated_ = ring_->OldestFacts();
  if (stated_ == nullptr) stated_ = status_->facts();
  v1::ClientMessage message;
  *message.mutable_hello() = hello_;
  AddFacts(*stated_, message.mutable_hello());
  return message.SerializeAsString();
}

Conversation::Verdict Conversation::Receive(const std::string& bytes) {
  v1::ServerMessage message;
  if (!message.ParseFromString(bytes)) return Verdict::kReconnect;
  switch (message.message_case()) {
    case v1::ServerMessage::kWelcome:
      if (message.welcome().source() != kSource || welcomed_) break;
      ring_->Settle(message.welcome().sequence());
      welcomed_ = true;
      ++status_->streams;
      status_->connected = true;
      break;
    case v1::ServerMessage::kAck:
      if (message.ack().source() != kSource || !welcomed_) break;
      ring_->Settle(message.ack().sequence());
      acknowledged_ = true;
      break;
    case v1::ServerMessage::kAlerts:
      if (message.alerts().source() != kSource) break;
      status_->set_alerts(FromWire(message.alerts()));
      break;
    case v1::ServerMessage::kRefusal:
      if (message.refusal().source() != kSource) break;
      return Refused(message.refusal());
    default:
      break;
  }
  return Verdict::kGoOn;
}

Conversation::Verdict Conversation::Refused(const v1::Refusal& refusal) {
  const std::string who = "rank " + std::to_string(hello_.rank()) +
                          " of run \"" + hello_.run() + "\"";
  const std::string why =
      "reason " + std::to_string(refusal.reason()) + ": " + refusal.detail();
  if (refusal.reason() == v1::SUPERSEDED) {
    status_->superseded = true;
    LogOnce(refusal.reason(), who +
                                  " was started anew elsewhere; this process "
                                  "sends nothing any more");
    return Verdict::kFallSilent;
  }
  if (refusal.reason() == v1::UNKNOWN_SOURCE) return Verdict::kReconnect;
  if (refusal.sequence() > 0) {
    // The Ack that settles the report still comes.
    ++status_->refused;
    LogOnce(refusal.reason(), "the daemon refuses a report of " + who + " (" +
                                  why + "); told once for each reason");
    return Verdict::kGoOn;
  }
  if (welcomed_) {
    LogOnce(refusal.reason(),
            "the daemon refuses a message of " + who + " (" + why + ")");
    return Verdict::kGoOn;
  }
  switch (refusal.reason()) {
    case v1::INVALID_RUN_ID:
    case v1::INVALID_WORLD_SIZE:
    case v1::INVALID_RANK:
    case v1::INVALID_INCARNATION:
    case v1::INVALID_SKETCH:
    case v1::SKETCH_MISMATCH:
    case v1::INVALID_FACT:
      LogOnce(refusal.reason(), "the daemon refuses " + who + " (" + why +
                                    "); this process is not watched");
      return Verdict::kFallSilent;
    default:
      LogOnce(refusal.reason(), "the daemon refuses " + who + " for now (" +
                                    why + "); will ask again");
      return Verdict::kRetrySlowly;
  }
}

bool Conversation::Next(std::string* message) {
  if (!welcomed_) return false;
  const std::vector<const Report*> reports = ring_->Pin(&next_sequence_);
  if (reports.empty()) return false;
  // Only this thread unpins, so the pointers hold until then.
  const std::shared_ptr<const Facts>& facts = reports.front()->facts;
  if (facts != stated_) {
    v1::ClientMessage wrapped;
    wrapped.mutable_facts()->set_source(kSource);
    AddFacts(*facts, wrapped.mutable_facts());
    *message = wrapped.SerializeAsString();
    stated_ = facts;
  } else {
    *message = Wrap(reports);
    in_flight_ = reports.size();
    next_sequence_ += reports.size();
  }
  ring_->Unpin();
  return true;
}

void Conversation::Sent() {
  status_->sent += in_flight_;
  in_flight_ = 0;
}

std::string Conversation::Goodbye() const {
  v1::ClientMessage message;
  message.mutable_goodbye()->set_source(kSource);
  message.mutable_goodbye()->set_reason("closed");
  return message.SerializeAsString();
}

void Conversation::Lost() {
  welcomed_ = false;
  acknowledged_ = false;
  in_flight_ = 0;
  status_->connected = false;
  status_->set_alerts({});
}

void Conversation::LogOnce(v1::RefusalReason reason, const std::string& line) {
  if (logged_.insert(reason).second) log_(line);
}

}  // namespace muster
