#include "daemon/ingest/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster::ingest {
namespace {

// Why is for the daemon's log alone.
Rejection NotAllowed() { return {v1::NOT_ALLOWED, "not allowed"}; }

}  // namespace

Session::Session(const Limits& limits, Sink& sink,
                 runs::DaemonCounters& counters, std::shared_ptr<Outbox> outbox,
                 Caller caller, Admission admission)
    : limits_(limits),
      sink_(sink),
      counters_(counters),
      outbox_(std::move(outbox)),
      caller_(std::move(caller)),
      admission_(std::move(admission)) {}

Session::~Session() { Close(); }

std::shared_ptr<SourceSink> Session::Take(v1::ClientMessage& message) {
  if (admission_.Changed()) AdmitAgain();
  refused_ = true;
  switch (message.message_case()) {
    case v1::ClientMessage::kHello:
      return TakeHello(message.hello());
    case v1::ClientMessage::kReports:
      return TakeReports(*message.mutable_reports());
    case v1::ClientMessage::kFacts:
      return TakeFacts(message.facts());
    case v1::ClientMessage::kGoodbye:
      return TakeGoodbye(message.goodbye());
    case v1::ClientMessage::kDisconnected:
      TakeDisconnected(message.disconnected());
      return nullptr;
    case v1::ClientMessage::MESSAGE_NOT_SET:
      Refuse(0, 0, {v1::MALFORMED, "message has nothing known in it"});
      return nullptr;
  }
  return nullptr;
}

std::shared_ptr<SourceSink> Session::TakeHello(const v1::Hello& hello) {
  const uint32_t number = hello.source();
  if (sources_.count(number) > 0) {
    Refuse(number, 0,
           {v1::TOO_MANY_SOURCES,
            absl::StrCat("source number ", number, " is taken")});
    return nullptr;
  }
  const auto limit = static_cast<size_t>(limits_.max_sources_per_stream);
  if (sources_.size() >= limit) {
    Refuse(number, 0,
           {v1::TOO_MANY_SOURCES, absl::StrCat("this stream carries ", limit,
                                               " sources, the limit")});
    return nullptr;
  }
  auto checked = CheckHello(hello, limits_);
  if (auto* rejection = std::get_if<Rejection>(&checked)) {
    Refuse(number, 0, std::move(*rejection));
    return nullptr;
  }
  auto& accepted = std::get<CheckedHello>(checked);
  Source admitted{.sink = nullptr, .run = accepted.run, .claim = nullptr};
  if (!admission_.Grants(accepted.run, accepted.info.rank,
                         accepted.info.incarnation, &admitted.claim)) {
    Refuse(number, 0, NotAllowed());
    return nullptr;
  }
  auto opened = sink_.Open(caller_, hello, std::move(accepted), outbox_);
  if (auto* rejection = std::get_if<Rejection>(&opened)) {
    Refuse(number, 0, std::move(*rejection));
    return nullptr;
  }
  auto& source = std::get<std::shared_ptr<SourceSink>>(opened);
  admitted.sink = source;
  sources_.emplace(number, std::move(admitted));
  refused_ = false;
  return source->IsFull() ? std::move(source) : nullptr;
}

void Session::AdmitAgain() {
  for (auto it = sources_.begin(); it != sources_.end();) {
    auto& [number, source] = *it;
    if (admission_.StillAllows(source.run)) {
      ++it;
      continue;
    }
    source.sink->Disconnect();
    Refuse(number, 0, NotAllowed());
    it = sources_.erase(it);
  }
}

std::shared_ptr<SourceSink> Session::TakeReports(v1::Reports& reports) {
  std::shared_ptr<SourceSink> full;
  auto* list = reports.mutable_reports();
  // A relay mixes sources; neighbours of one source travel together.
  for (auto it = list->begin(); it != list->end();) {
    const uint32_t number = it->source();
    std::shared_ptr<SourceSink> source = Find(number, it->sequence());
    if (source == nullptr) {
      ++it;
      continue;
    }
    uint64_t settled = 0;
    for (; it != list->end() && it->source() == number; ++it) {
      const uint64_t sequence = it->sequence();
      settled = std::max(settled, sequence);
      if (auto rejection = source->Add(*it)) {
        Refuse(number, sequence, *std::move(rejection));
      }
    }
    const runs::Posted posted = source->Flush(settled);
    source = After(number, std::move(source), posted);
    if (source != nullptr) full = std::move(source);
  }
  return full;
}

std::shared_ptr<SourceSink> Session::TakeFacts(const v1::Facts& facts) {
  auto source = Find(facts.source(), 0);
  if (source == nullptr) return nullptr;
  auto checked = CheckFacts(facts.facts());
  if (auto* rejection = std::get_if<Rejection>(&checked)) {
    Refuse(facts.source(), 0, std::move(*rejection));
    return nullptr;
  }
  const runs::Posted posted =
      source->State(facts, std::move(std::get<0>(checked)));
  return After(facts.source(), std::move(source), posted);
}

std::shared_ptr<SourceSink> Session::TakeGoodbye(const v1::Goodbye& goodbye) {
  auto source = Find(goodbye.source(), 0);
  if (source == nullptr) return nullptr;
  const runs::Posted posted = source->Depart(goodbye);
  auto full = After(goodbye.source(), std::move(source), posted);
  sources_.erase(goodbye.source());
  return full;
}

void Session::TakeDisconnected(const v1::Disconnected& disconnected) {
  const auto source = Find(disconnected.source(), 0);
  if (source == nullptr) return;
  source->Disconnect();
  sources_.erase(disconnected.source());
}

std::shared_ptr<SourceSink> Session::After(uint32_t number,
                                           std::shared_ptr<SourceSink> source,
                                           runs::Posted posted) {
  switch (posted) {
    case runs::Posted::kTaken:
      return nullptr;
    case runs::Posted::kFull:
      return source;
    case runs::Posted::kRetired:
      sources_.erase(number);
      Refuse(number, 0,
             {v1::UNKNOWN_SOURCE, "the run has been forgotten meanwhile"});
      return nullptr;
  }
  return nullptr;
}

std::shared_ptr<SourceSink> Session::Find(uint32_t source, uint64_t sequence) {
  const auto found = sources_.find(source);
  if (found != sources_.end()) {
    refused_ = false;
    return found->second.sink;
  }
  Refuse(source, sequence,
         {v1::UNKNOWN_SOURCE,
          absl::StrCat("no Hello introduced source number ", source)});
  return nullptr;
}

void Session::Refuse(uint32_t source, uint64_t sequence, Rejection rejection) {
  counters_.CountRejected(ReasonLabel(rejection.reason));
  outbox_->Refuse(source, sequence, rejection.reason,
                  std::move(rejection.detail));
}

void Session::Close() {
  for (auto& [number, source] : sources_) source.sink->Disconnect();
  sources_.clear();
}

}  // namespace muster::ingest
