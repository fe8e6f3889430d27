#include "daemon/ingest/run_sink.h"

#include <string>
#include <utility>

namespace muster::ingest {
namespace {

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

// Translates a run's answers to the stream's source numbers.
class Link : public runs::SourceLink {
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

class RunSource : public SourceSink {
 public:
  RunSource(uint32_t rank, uint64_t incarnation, uint32_t sketch_width,
            std::shared_ptr<Link> link)
      : rank_(rank),
        incarnation_(incarnation),
        sketch_width_(sketch_width),
        link_(std::move(link)) {}

  void set_run(std::shared_ptr<runs::Run> run) { run_ = std::move(run); }

  std::optional<Rejection> Add(v1::StepReport& report) override {
    auto checked = CheckReport(report, rank_, sketch_width_);
    if (auto* rejection = std::get_if<Rejection>(&checked)) {
      return std::move(*rejection);
    }
    auto& good = std::get<frames::Report>(checked);
    bytes_ += frames::BytesOf(good);
    reports_.push_back(std::move(good));
    return std::nullopt;
  }

  runs::Posted Flush(uint64_t settled) override {
    const size_t bytes =
        sizeof(runs::SourceReported) + std::exchange(bytes_, 0);
    return run_->Post(
        runs::SourceReported{.rank = rank_,
                             .incarnation = incarnation_,
                             .reports = std::exchange(reports_, {}),
                             .settled_sequence = settled,
                             .link = link_},
        bytes);
  }

  runs::Posted State(const v1::Facts& facts,
                     std::shared_ptr<const frames::FactSet> checked) override {
    const size_t bytes = sizeof(runs::Message) + frames::BytesOf(*checked);
    return run_->Post(
        runs::FactsStated{rank_, incarnation_, std::move(checked)}, bytes);
  }

  runs::Posted Depart(const v1::Goodbye& goodbye) override {
    return run_->Post(runs::SourceDeparted{rank_, incarnation_},
                      sizeof(runs::Message));
  }

  void Disconnect() override {
    run_->Post(runs::SourceDisconnected{rank_, incarnation_, link_},
               sizeof(runs::Message));
  }

  bool IsFull() const override { return run_->IsFull(); }
  void NotifyWhenDrained(std::function<void()> callback) override {
    run_->NotifyWhenDrained(std::move(callback));
  }

 private:
  const uint32_t rank_;
  const uint64_t incarnation_;
  const uint32_t sketch_width_;
  const std::shared_ptr<Link> link_;
  std::shared_ptr<runs::Run> run_;
  std::vector<frames::Report> reports_;  // to be flushed
  size_t bytes_ = 0;                     // of them
};

}  // namespace

std::variant<std::shared_ptr<SourceSink>, Rejection> RunSink::Open(
    const Caller& caller, const v1::Hello& hello, CheckedHello checked,
    const std::shared_ptr<Outbox>& outbox) {
  auto link =
      std::make_shared<Link>(hello.source(), checked.run, counters_, outbox);
  auto source =
      std::make_shared<RunSource>(checked.info.rank, checked.info.incarnation,
                                  checked.info.sketch.width, link);
  auto run = registry_.Open(
      checked.run, {std::move(checked.info), std::move(checked.facts), link});
  if (!run.ok()) {
    return Rejection{v1::TOO_MANY_RUNS, std::string(run.status().message())};
  }
  source->set_run(*std::move(run));
  return source;
}

}  // namespace muster::ingest
