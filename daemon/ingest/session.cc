#include "daemon/ingest/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster::ingest {
namespace {

// Why is for the daemon's log alone.
Rejection NotAllowed() { return {v1::NOT_ALLOWED, "not allowed"}; }

v1::RefusalReason ToReason(runs::RunRefusal refusal) {
  switch (refusal) {
    case runs::RunRefusal::kSuperseded:
      return v1::SUPERSEDED;
    case runs::RunRefusal::kSketchMismatch:
      return v1::SKETCH_MISMATCH;
    case runs::RunRefusal::kUnknownSource:
      return v1::UNKNOWN_SOURCE;
  }
  return v1::REFUSAL_REASON_UNSPECIFIED;
}

}  // namespace

// Translates a run's answers to the stream's source numbers.
class Session::Link : public runs::SourceLink {
 public:
  Link(uint32_t source, std::string run, runs::DaemonCounters& counters,
       std::shared_ptr<Outbox> outbox)
      : source_(source),
        run_(std::move(run)),
        counters_(counters),
        outbox_(std::move(outbox)) {}

  void Welcome(uint64_t sequence) override {
    outbox_->Welcome(source_, sequence);
  }
  void Acknowledge(uint64_t sequence) override {
    outbox_->Acknowledge(source_, sequence);
  }
  void Refuse(runs::RunRefusal refusal, uint64_t sequence,
              std::string detail) override {
    const v1::RefusalReason reason = ToReason(refusal);
    counters_.CountRejected(ReasonLabel(reason));
    outbox_->Refuse(source_, sequence, reason, std::move(detail));
  }
  void ShowAlerts(
      std::shared_ptr<const std::vector<alert::Alert>> alerts) override {
    outbox_->ShowAlerts(source_, run_, std::move(alerts));
  }

 private:
  const uint32_t source_;
  const std::string run_;
  runs::DaemonCounters& counters_;
  const std::shared_ptr<Outbox> outbox_;
};

Session::Session(const Limits& limits, runs::Registry& registry,
                 runs::DaemonCounters& counters, std::shared_ptr<Outbox> outbox,
                 Admission admission)
    : limits_(limits),
      registry_(registry),
      counters_(counters),
      outbox_(std::move(outbox)),
      admission_(std::move(admission)) {}

Session::~Session() { Close(); }

std::shared_ptr<runs::Run> Session::Take(v1::ClientMessage& message) {
  if (admission_.Changed()) AdmitAgain();
  switch (message.message_case()) {
    case v1::ClientMessage::kHello:
      return TakeHello(message.hello());
    case v1::ClientMessage::kReports:
      return TakeReports(*message.mutable_reports());
    case v1::ClientMessage::kFacts:
      return TakeFacts(message.facts());
    case v1::ClientMessage::kGoodbye:
      return TakeGoodbye(message.goodbye());
    case v1::ClientMessage::MESSAGE_NOT_SET:
      Refuse(0, 0, {v1::MALFORMED, "message has nothing known in it"});
      return nullptr;
  }
  return nullptr;
}

std::shared_ptr<runs::Run> Session::TakeHello(const v1::Hello& hello) {
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
  Source source{
      .run = nullptr,
      .rank = accepted.info.rank,
      .incarnation = accepted.info.incarnation,
      .sketch_width = accepted.info.sketch.width,
      .link = std::make_shared<Link>(number, accepted.run, counters_, outbox_),
      .run_id = accepted.run,
  };
  if (!admission_.Grants(source.run_id, source.rank, source.incarnation,
                         &source.claim)) {
    Refuse(number, 0, NotAllowed());
    return nullptr;
  }
  auto run = registry_.Open(
      accepted.run,
      {std::move(accepted.info), std::move(accepted.facts), source.link});
  if (!run.ok()) {
    Refuse(number, 0, {v1::TOO_MANY_RUNS, std::string(run.status().message())});
    return nullptr;
  }
  source.run = *run;
  sources_.emplace(number, std::move(source));
  return (*run)->IsFull() ? *std::move(run) : nullptr;
}

void Session::AdmitAgain() {
  for (auto it = sources_.begin(); it != sources_.end();) {
    auto& [number, source] = *it;
    if (admission_.StillAllows(source.run_id)) {
      ++it;
      continue;
    }
    source.run->Post(
        runs::SourceDisconnected{source.rank, source.incarnation, source.link},
        sizeof(runs::Message));
    Refuse(number, 0, NotAllowed());
    it = sources_.erase(it);
  }
}

std::shared_ptr<runs::Run> Session::TakeReports(v1::Reports& reports) {
  std::shared_ptr<runs::Run> full;
  auto* list = reports.mutable_reports();
  // A relay mixes sources; neighbours of one source travel together.
  for (auto it = list->begin(); it != list->end();) {
    const uint32_t number = it->source();
    Source* source = Find(number, it->sequence());
    if (source == nullptr) {
      ++it;
      continue;
    }
    runs::SourceReported batch{.rank = source->rank,
                               .incarnation = source->incarnation,
                               .reports = {},
                               .settled_sequence = 0,
                               .link = source->link};
    const auto end = std::find_if(it, list->end(), [number](const auto& each) {
      return each.source() != number;
    });
    batch.reports.reserve(static_cast<size_t>(end - it));
    size_t bytes = sizeof(batch);
    for (; it != end; ++it) {
      const uint64_t sequence = it->sequence();
      batch.settled_sequence = std::max(batch.settled_sequence, sequence);
      auto checked = CheckReport(*it, source->rank, source->sketch_width);
      if (auto* rejection = std::get_if<Rejection>(&checked)) {
        Refuse(number, sequence, std::move(*rejection));
        continue;
      }
      auto& report = std::get<frames::Report>(checked);
      bytes += frames::BytesOf(report);
      batch.reports.push_back(std::move(report));
    }
    auto run = Post(number, *source, std::move(batch), bytes);
    if (run != nullptr) full = std::move(run);
  }
  return full;
}

std::shared_ptr<runs::Run> Session::TakeFacts(const v1::Facts& facts) {
  const Source* source = Find(facts.source(), 0);
  if (source == nullptr) return nullptr;
  auto checked = CheckFacts(facts.facts());
  if (auto* rejection = std::get_if<Rejection>(&checked)) {
    Refuse(facts.source(), 0, std::move(*rejection));
    return nullptr;
  }
  auto& accepted = std::get<0>(checked);
  const size_t bytes = sizeof(runs::Message) + frames::BytesOf(*accepted);
  return Post(
      facts.source(), *source,
      runs::FactsStated{source->rank, source->incarnation, std::move(accepted)},
      bytes);
}

std::shared_ptr<runs::Run> Session::TakeGoodbye(const v1::Goodbye& goodbye) {
  const Source* source = Find(goodbye.source(), 0);
  if (source == nullptr) return nullptr;
  auto full = Post(goodbye.source(), *source,
                   runs::SourceDeparted{source->rank, source->incarnation},
                   sizeof(runs::Message));
  sources_.erase(goodbye.source());
  return full;
}

std::shared_ptr<runs::Run> Session::Post(uint32_t number, const Source& source,
                                         runs::Message message, size_t bytes) {
  const std::shared_ptr<runs::Run> run = source.run;
  switch (run->Post(std::move(message), bytes)) {
    case runs::Posted::kTaken:
      return nullptr;
    case runs::Posted::kFull:
      return run;
    case runs::Posted::kRetired:
      sources_.erase(number);
      Refuse(number, 0,
             {v1::UNKNOWN_SOURCE, "the run has been forgotten meanwhile"});
      return nullptr;
  }
  return nullptr;
}

Session::Source* Session::Find(uint32_t source, uint64_t sequence) {
  const auto found = sources_.find(source);
  if (found != sources_.end()) return &found->second;
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
  for (auto& [number, source] : sources_) {
    source.run->Post(
        runs::SourceDisconnected{source.rank, source.incarnation, source.link},
        sizeof(runs::Message));
  }
  sources_.clear();
}

}  // namespace muster::ingest
