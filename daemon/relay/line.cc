#include "daemon/relay/line.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace muster::relay {
namespace {

// How long a rank waits for upstream's word before it is welcomed without.
constexpr absl::Duration kWelcomeWithout = absl::Seconds(1);
// What came while upstream is away is written to the spool so often.
constexpr absl::Duration kSpillInterval = absl::Milliseconds(50);

}  // namespace

Line::Line(std::string run, const Surroundings& around)
    : run_(std::move(run)),
      around_(around),
      log_(run_, around.spool,
           {.settled = [this](const RunLog::Sent& s) { return IsSettled(s); },
            .forget =
                [this](const RunLog::Sent& sent, std::optional<Where> lost) {
                  OnForgotten(sent, lost);
                },
            .committed =
                [this](const Entry& entry) {
                  const auto found = sources_.find(entry.origin->number);
                  if (found == sources_.end()) return;
                  Source& source = found->second;
                  source.safe = std::max(source.safe, entry.sequence);
                  Answer(source);
                },
            .post = around.post}) {}

Line::~Line() { *alive_ = false; }

void Line::Continue(const SpooledRun& found) {
  log_.Continue(found);
  for (const SpooledRun::Source& each : found.sources) {
    Source source;
    source.origin = each.origin;
    source.last_sequence = source.covered = source.safe = each.last_sequence;
    source.last_id = each.last_id;
    source.facts = source.settled_facts = each.first_facts;
    source.ended = false;
    numbers_[{each.origin->rank, each.origin->incarnation}] =
        each.origin->number;
    sources_[each.origin->number] = std::move(source);
  }
}

void Line::Open(Arrival arrival) {
  const std::pair<uint32_t, uint64_t> key{arrival.hello.rank(),
                                          arrival.hello.incarnation()};
  auto known = numbers_.find(key);
  if (known == numbers_.end()) {
    const auto limit = static_cast<size_t>(around_.options.max_sources);
    if (sources_.size() >= limit) {
      arrival.outbox->Refuse(arrival.hello.source(), 0, v1::TOO_MANY_SOURCES,
                             absl::StrCat("this relay carries ", limit,
                                          " sources of the run, the limit"));
      return;
    }
    const uint32_t number = around_.next_number();
    known = numbers_.emplace(key, number).first;
    auto origin = std::make_shared<Origin>();
    origin->number = number;
    origin->run = run_;
    origin->rank = arrival.hello.rank();
    origin->incarnation = arrival.hello.incarnation();
    sources_[number].origin = std::move(origin);
  }
  Source& source = sources_[known->second];
  if (source.refused) {
    arrival.outbox->Refuse(arrival.hello.source(), 0, source.refused->reason,
                           source.refused->detail);
    return;
  }
  v1::Facts facts;
  *facts.mutable_facts() = arrival.hello.facts();
  std::string facts_bytes = facts.SerializeAsString();
  if (source.facts == nullptr || source.facts->bytes != facts_bytes) {
    source.facts = std::make_shared<const StatedFacts>(
        StatedFacts{around_.next_id(), std::move(facts_bytes)});
  }
  if (source.settled_facts == nullptr) source.settled_facts = source.facts;
  tokens_.erase(source.token);
  source.token = arrival.token;
  source.outbox = std::move(arrival.outbox);
  source.local_number = arrival.hello.source();
  source.welcomed = false;
  source.came = now();
  source.ended = false;
  tokens_[source.token] = known->second;
  if (source.origin->hello.empty()) {
    auto origin = std::make_shared<Origin>(*source.origin);
    arrival.hello.clear_facts();
    arrival.hello.set_source(origin->number);
    origin->hello = arrival.hello.SerializeAsString();
    source.origin = std::move(origin);
  }
  for (std::string& id : arrival.via) {
    // The stream says which relays its messages have passed: say it anew.
    if (via_.insert(std::move(id)).second && stream_ != nullptr) Reset();
  }
  look_ = true;
  if (away_ || source.standing == Standing::kOpen) Answer(source);
}

Line::Source* Line::FindToken(uint64_t token) {
  const auto found = tokens_.find(token);
  return found == tokens_.end() ? nullptr : &sources_.at(found->second);
}

void Line::Append(Source& source, Entry::Kind kind, uint64_t sequence,
                  std::string bytes) {
  if (log_.all_sent()) {
    batch_since_ = now();
    fresh_bytes_ = 0;
  }
  fresh_bytes_ += bytes.size();
  source.last_id = around_.next_id();
  log_.Append({.id = source.last_id,
               .kind = kind,
               .origin = source.origin,
               .sequence = sequence,
               .facts = kind == Entry::Kind::kReport ? source.facts : nullptr,
               .bytes = std::make_shared<const std::string>(std::move(bytes)),
               .taken = around_.clock.wall()});
}

void Line::Report(uint64_t token, std::vector<ReportBytes> reports,
                  uint64_t settled) {
  Source* source = FindToken(token);
  // It was refused, or another stream speaks for the rank now.
  if (source == nullptr) return;
  for (ReportBytes& report : reports) {
    // Sent again: it is in the log, or has been.
    if (report.sequence <= std::max(source->last_sequence, source->settled)) {
      continue;
    }
    ++around_.counts.received;
    source->last_sequence = report.sequence;
    Append(*source, Entry::Kind::kReport, report.sequence,
           std::move(report.bytes));
  }
  source->covered = std::max(source->covered, settled);
  if (source->safe >= source->last_sequence) Answer(*source);
}

void Line::State(uint64_t token, std::string facts) {
  Source* source = FindToken(token);
  if (source == nullptr || source->facts->bytes == facts) return;
  source->facts = std::make_shared<const StatedFacts>(
      StatedFacts{around_.next_id(), std::move(facts)});
}

void Line::Depart(uint64_t token, std::string goodbye) {
  Source* source = FindToken(token);
  if (source == nullptr) return;
  Append(*source, Entry::Kind::kGoodbye, 0, std::move(goodbye));
  source->ended = true;
  Detach(*source);
}

void Line::Disconnect(uint64_t token) {
  Source* source = FindToken(token);
  if (source == nullptr) return;
  if (!stopping_) {
    Append(*source, Entry::Kind::kLost, 0, "");
    source->ended = true;
  }
  Detach(*source);
}

void Line::Detach(Source& source) {
  tokens_.erase(source.token);
  source.token = 0;
  source.outbox = nullptr;
}

void Line::Answer(Source& source) {
  if (source.outbox == nullptr) return;
  uint64_t safe = source.safe;
  if (safe >= source.last_sequence) safe = std::max(safe, source.covered);
  if (!source.welcomed) {
    source.welcomed = true;
    source.outbox->Welcome(source.local_number, safe);
    if (alerts_ != nullptr) {
      source.outbox->ShowAlerts(source.local_number, alerts_);
    }
  } else if (safe > source.told) {
    source.outbox->Acknowledge(source.local_number, safe);
  }
  source.told = safe;
}

void Line::WelcomeLate() {
  for (const auto& [token, number] : tokens_) {
    Source& source = sources_.at(number);
    if (!source.welcomed && (away_ || now() - source.came >= kWelcomeWithout)) {
      Answer(source);
    }
  }
}

void Line::ForgetSources() {
  for (auto it = sources_.begin(); it != sources_.end();) {
    Source& source = it->second;
    const bool idle =
        source.outbox == nullptr && source.last_id <= log_.settled_id();
    if (idle && !source.ended && !source.refused && !stopping_) {
      // Its reports were found in the spool, and their rank is gone.
      Append(source, Entry::Kind::kLost, 0, "");
      source.ended = true;
    } else if (idle && (!source.refused || now() >= source.forget)) {
      numbers_.erase({source.origin->rank, source.origin->incarnation});
      it = sources_.erase(it);
      continue;
    }
    ++it;
  }
}

absl::Duration Line::Advance() {
  const absl::Duration time = now();
  log_.Settle();
  ForgetSources();
  WelcomeLate();
  const absl::Time wall = around_.clock.wall();
  if (away_ && stopping_) {
    log_.Spill(absl::InfiniteFuture(), time);
  } else {
    log_.Spill(wall - (away_ ? kSpillInterval : around_.options.spool_after),
               time);
  }
  const bool wanted = !tokens_.empty() || !log_.empty();
  if (stream_ == nullptr) {
    if (!wanted || (stopping_ && log_.empty())) return absl::Seconds(1);
    if (time < retry_at_) {
      return std::min(retry_at_ - time, kSpillInterval);
    }
    OpenStream();
  }
  if (!writing_ && !finishing_) Send();
  if (log_.empty() && (!wanted || stopping_) && stream_ != nullptr &&
      !writing_ && !finishing_) {
    finishing_ = true;
    stream_->FinishSending();
  }
  // Reports wait for others for milliseconds; all else has time.
  if (!log_.all_sent()) return around_.options.batch_delay;
  return log_.empty() ? absl::Seconds(1) : kSpillInterval;
}

}  // namespace muster::relay
