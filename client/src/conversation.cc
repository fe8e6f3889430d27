#include "client/src/conversation.h"

#include <unistd.h>

#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "client/src/grpc_framing.h"
#include "client/src/step_recorder.h"

namespace muster {
namespace {

std::string HostName() {
  char host[257] = {};
  return gethostname(host, sizeof(host) - 1) == 0 ? host : "";
}

// Borrows `run` and `host`.
muster_v1_Hello MakeHello(const Options& options, uint64_t incarnation,
                          const std::string& run, const std::string& host) {
  muster_v1_Hello hello = muster_v1_Hello_init_zero;
  hello.source = kSource;
  hello.run = TextField(run);
  hello.rank = options.rank;
  hello.world_size = options.world_size;
  hello.incarnation = incarnation;
  hello.has_sketch = true;
  hello.sketch.version = SketchSpec::kVersion;
  hello.sketch.width = options.sketch.width;
  hello.sketch.seed = options.sketch.seed;
  hello.parameter_count = options.parameter_count;
  hello.host = TextField(host);
  hello.pid = static_cast<uint32_t>(getpid());
  hello.client_version = const_cast<char*>(Version());
  return hello;
}

// Borrows `facts`.
std::vector<muster_v1_Fact> ToWire(const Facts& facts) {
  std::vector<muster_v1_Fact> fields;
  fields.reserve(facts.size());
  for (const auto& [name, fact] : facts) {
    fields.push_back({TextField(name), TextField(fact.value), fact.shown_only});
  }
  return fields;
}

std::string Encode(const muster_v1_ClientMessage& message) {
  std::string bytes;
  AppendMessage(muster_v1_ClientMessage_fields, &message, &bytes);
  return bytes;
}

size_t VarintBytes(uint64_t value) {
  return (std::bit_width(value | 1) + 6) / 7;
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

// ClientMessage { Reports { … } } around reports that are encoded already, in
// one piece of memory: what this thread has used once stays with the process.
std::string Wrap(const std::vector<const Report*>& reports) {
  size_t body = 0;
  for (const Report* report : reports) {
    body += 1 + VarintBytes(report->bytes.size()) + report->bytes.size();
  }
  std::string message;
  message.reserve(1 + VarintBytes(body) + body);
  AppendHeader(muster_v1_ClientMessage_reports_tag, body, &message);
  for (const Report* report : reports) {
    AppendHeader(muster_v1_Reports_reports_tag, report->bytes.size(), &message);
    message += report->bytes;
  }
  return message;
}

// Empty where the daemon is older, or newer, than the names known here.
std::string SeverityName(muster_v1_AlertSeverity severity) {
  switch (severity) {
    case muster_v1_AlertSeverity_INFO:
      return "info";
    case muster_v1_AlertSeverity_WARNING:
      return "warning";
    case muster_v1_AlertSeverity_CRITICAL:
      return "critical";
    default:
      return "";
  }
}

std::vector<Alert> FromWire(const muster_v1_Alerts& message) {
  std::vector<Alert> alerts;
  alerts.reserve(message.alerts_count);
  for (size_t i = 0; i < message.alerts_count; ++i) {
    const muster_v1_Alert& alert = message.alerts[i];
    alerts.push_back({.id = alert.id,
                      .kind = std::string(Text(alert.kind)),
                      .subject = std::string(Text(alert.subject)),
                      .ranks = {alert.ranks, alert.ranks + alert.ranks_count},
                      .first_step = alert.first_step,
                      .last_step = alert.last_step,
                      .value = alert.value,
                      .expected = alert.expected,
                      .evidence = std::string(Text(alert.evidence)),
                      .silent = alert.silent,
                      .severity = SeverityName(alert.severity),
                      .explained_by = alert.explained_by});
  }
  return alerts;
}

}  // namespace

Conversation::Conversation(const Options& options, uint64_t incarnation,
                           ReportRing* ring, ClientStatus* status,
                           std::function<void(const std::string&)> log)
    : run_(options.run_id),
      host_(HostName()),
      hello_(MakeHello(options, incarnation, run_, host_)),
      ring_(ring),
      status_(status),
      log_(std::move(log)) {}

std::string Conversation::Open() {
  Lost();
  next_sequence_ = 1;
  stated_ = ring_->OldestFacts();
  if (stated_ == nullptr) stated_ = status_->facts();
  std::vector<muster_v1_Fact> facts = ToWire(*stated_);
  muster_v1_ClientMessage message = muster_v1_ClientMessage_init_zero;
  message.which_message = muster_v1_ClientMessage_hello_tag;
  message.message.hello = hello_;
  message.message.hello.facts_count = static_cast<pb_size_t>(facts.size());
  message.message.hello.facts = facts.data();
  return Encode(message);
}

Conversation::Verdict Conversation::Receive(const std::string& bytes) {
  ServerMessage message;
  if (!message.Parse(bytes)) return Verdict::kReconnect;
  const auto& [which, said] = *message;
  switch (which) {
    case muster_v1_ServerMessage_welcome_tag:
      if (said.welcome.source != kSource || welcomed_) break;
      ring_->Settle(said.welcome.sequence);
      welcomed_ = true;
      ++status_->streams;
      status_->connected = true;
      break;
    case muster_v1_ServerMessage_ack_tag:
      if (said.ack.source != kSource || !welcomed_) break;
      ring_->Settle(said.ack.sequence);
      acknowledged_ = true;
      break;
    case muster_v1_ServerMessage_alerts_tag:
      if (said.alerts.source != kSource) break;
      status_->set_alerts(FromWire(said.alerts));
      break;
    case muster_v1_ServerMessage_refusal_tag:
      if (said.refusal.source != kSource) break;
      return Refused(said.refusal);
    default:
      break;
  }
  return Verdict::kGoOn;
}

Conversation::Verdict Conversation::Refused(const muster_v1_Refusal& refusal) {
  // A newer daemon's reason is outside the range of the enum.
  int reason = 0;
  static_assert(sizeof(reason) == sizeof(refusal.reason));
  std::memcpy(&reason, &refusal.reason, sizeof(reason));
  const std::string who =
      "rank " + std::to_string(hello_.rank) + " of run \"" + run_ + "\"";
  const std::string why =
      "reason " + std::to_string(reason) + ": " + OneLine(Text(refusal.detail));
  if (reason == muster_v1_RefusalReason_SUPERSEDED) {
    status_->superseded = true;
    LogOnce(reason, who +
                        " was started anew elsewhere; this process sends "
                        "nothing any more");
    return Verdict::kFallSilent;
  }
  if (reason == muster_v1_RefusalReason_UNKNOWN_SOURCE) {
    return Verdict::kReconnect;
  }
  if (refusal.sequence > 0) {
    // The Ack that settles the report still comes.
    ++status_->refused;
    LogOnce(reason, "the daemon refuses a report of " + who + " (" + why +
                        "); told once for each reason");
    return Verdict::kGoOn;
  }
  if (welcomed_) {
    LogOnce(reason,
            "the daemon refuses a message of " + who + " (" + why + ")");
    return Verdict::kGoOn;
  }
  switch (reason) {
    case muster_v1_RefusalReason_INVALID_RUN_ID:
    case muster_v1_RefusalReason_INVALID_WORLD_SIZE:
    case muster_v1_RefusalReason_INVALID_RANK:
    case muster_v1_RefusalReason_INVALID_INCARNATION:
    case muster_v1_RefusalReason_INVALID_SKETCH:
    case muster_v1_RefusalReason_SKETCH_MISMATCH:
    case muster_v1_RefusalReason_INVALID_FACT:
      LogOnce(reason, "the daemon refuses " + who + " (" + why +
                          "); this process is not watched");
      return Verdict::kFallSilent;
    default:
      LogOnce(reason, "the daemon refuses " + who + " for now (" + why +
                          "); will ask again");
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
    std::vector<muster_v1_Fact> fields = ToWire(*facts);
    muster_v1_ClientMessage wrapped = muster_v1_ClientMessage_init_zero;
    wrapped.which_message = muster_v1_ClientMessage_facts_tag;
    wrapped.message.facts = {kSource, static_cast<pb_size_t>(fields.size()),
                             fields.data()};
    *message = Encode(wrapped);
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
  char reason[] = "closed";
  muster_v1_ClientMessage message = muster_v1_ClientMessage_init_zero;
  message.which_message = muster_v1_ClientMessage_goodbye_tag;
  message.message.goodbye = {kSource, reason};
  return Encode(message);
}

void Conversation::Lost() {
  welcomed_ = false;
  acknowledged_ = false;
  in_flight_ = 0;
  status_->connected = false;
  status_->set_alerts({});
}

void Conversation::LogOnce(int reason, const std::string& line) {
  // All that are unknown here count as one: the daemon could name any number.
  if (reason < _muster_v1_RefusalReason_MIN ||
      reason > _muster_v1_RefusalReason_MAX) {
    reason = -1;
  }
  if (logged_.insert(reason).second) log_(line);
}

}  // namespace muster
