#include "daemon/runs/recorder.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

namespace muster::runs {
namespace {

// What of an entry is told to observers; absent for most events.
std::optional<JudgedStep> StepOf(const history::Body& body, absl::Time wall) {
  if (const auto* judged = std::get_if<history::Judged>(&body)) {
    return JudgedStep{.wall = wall, .measures = judged->measures};
  }
  if (std::holds_alternative<frames::RunEnded>(body)) {
    return JudgedStep{.wall = wall};
  }
  return std::nullopt;
}

}  // namespace

Recorder::Recorder(history::Writer* writer, std::string name,
                   std::string configuration, StepObserver observer)
    : writer_(writer),
      name_(std::move(name)),
      configuration_(std::move(configuration)),
      observer_(std::move(observer)),
      settled_(std::make_shared<SettledSequences>()),
      submitted_(-absl::InfiniteDuration()) {}

void Recorder::Continue(int64_t run, const history::Checkpoint& checkpoint) {
  run_ = run;
  next_position_ = checkpoint.next_position;
  for (const frames::RankState& rank : checkpoint.assembler.ranks) {
    settled_->Set(rank.source.info.rank, rank.source.info.incarnation,
                  rank.source.last_sequence);
  }
}

void Recorder::Add(history::Body body, absl::Time wall,
                   const std::vector<alert::Alert>& changes, size_t first) {
  auto step = observer_ ? StepOf(body, wall) : std::nullopt;
  if (step && writer_ == nullptr) observer_(name_, *step);
  if (writer_ == nullptr) return;
  if (step) {
    step->position = next_position_;
    steps_.push_back(*std::move(step));
  }
  auto& entries = unit_.entries;
  auto* ticks = std::get_if<history::Ticks>(&body);
  auto* last = entries.empty()
                   ? nullptr
                   : std::get_if<history::Ticks>(&entries.back().body);
  if (ticks != nullptr && last != nullptr) {
    last->ticks.insert(last->ticks.end(), ticks->ticks.begin(),
                       ticks->ticks.end());
  } else {
    only_ticks_ &= ticks != nullptr;
    entries.push_back({next_position_++, wall, std::move(body)});
  }
  // An alert is news in itself.
  if (changes.size() > first) only_ticks_ = false;
  for (size_t i = first; i < changes.size(); ++i) {
    unit_.alerts.push_back({entries.back().position, changes[i],
                            alert::LogLine(name_, changes[i])});
  }
}

void Recorder::Acknowledge(uint32_t rank, uint64_t incarnation,
                           uint64_t sequence,
                           const std::shared_ptr<SourceLink>& link) {
  Waiting& waiting = waiting_[rank];
  // A newer link or incarnation takes the place.
  if (waiting.incarnation != incarnation) waiting.sequence = 0;
  waiting = {incarnation, std::max(waiting.sequence, sequence), link};
}

void Recorder::EndTurn() {
  if (writer_ != nullptr) return;
  for (const auto& [rank, source] : waiting_) {
    source.link->Acknowledge(source.sequence);
  }
  waiting_.clear();
}

uint64_t Recorder::Settled(uint32_t rank, uint64_t incarnation,
                           uint64_t received) const {
  return writer_ == nullptr ? received : settled_->Get(rank, incarnation);
}

bool Recorder::IsDue(frames::Instant now, bool has_open_frames) const {
  if (writer_ == nullptr || empty()) return false;
  const absl::Duration waited = now - submitted_;
  if (only_ticks_ && waiting_.empty()) return waited >= kLongestSilence;
  return !has_open_frames || waited >= kLongestUnit;
}

void Recorder::Submit(const frames::FrameAssembler& assembler,
                      const alert::AlertBook& alerts,
                      const std::optional<frames::SketchSpec>& sketch,
                      frames::Instant now, absl::Time wall) {
  if (run_ == 0) run_ = writer_->Begin(name_, configuration_, wall);
  auto checkpoint = std::make_shared<history::Checkpoint>();
  checkpoint->next_position = next_position_;
  checkpoint->now = now;
  checkpoint->wall = wall;
  checkpoint->sketch = sketch;
  checkpoint->assembler = assembler.Save();
  checkpoint->alerts = alerts.Save(/*with_resolved=*/false);
  decltype(open_reports_) open;
  assembler.VisitOpen([&](uint64_t incarnation, const frames::Report& report) {
    const auto key = std::make_pair(report.rank, report.sequence);
    const auto known = open_reports_.find(key);
    auto& kept = open[key];
    if (known != open_reports_.end() &&
        known->second->incarnation == incarnation) {
      kept = known->second;
    } else {
      kept = std::make_shared<const history::OpenReport>(
          history::OpenReport{incarnation, report});
    }
    checkpoint->open_reports.push_back(kept);
  });
  open_reports_ = std::move(open);
  unit_.run = run_;
  unit_.checkpoint = std::move(checkpoint);
  if (!waiting_.empty() || !steps_.empty()) {
    unit_.settled = [settled = settled_, waiting = std::move(waiting_),
                     steps = std::move(steps_), run = run_, name = name_,
                     observer = observer_]() mutable {
      settled->Settle(waiting);
      for (JudgedStep& step : steps) {
        step.history_run = run;
        observer(name, step);
      }
    };
  }
  writer_->Write(std::exchange(unit_, {}));
  waiting_.clear();
  steps_.clear();
  only_ticks_ = true;
  submitted_ = now;
}

void Recorder::SettledSequences::Settle(const WaitingByRank& waiting) {
  for (const auto& [rank, source] : waiting) {
    Set(rank, source.incarnation, source.sequence);
    source.link->Acknowledge(source.sequence);
  }
}

void Recorder::SettledSequences::Set(uint32_t rank, uint64_t incarnation,
                                     uint64_t sequence) {
  MutexLock lock(mutex_);
  Last& last = last_[rank];
  if (last.incarnation != incarnation) last = {incarnation, 0};
  last.sequence = std::max(last.sequence, sequence);
}

uint64_t Recorder::SettledSequences::Get(uint32_t rank,
                                         uint64_t incarnation) const {
  MutexLock lock(mutex_);
  const auto found = last_.find(rank);
  if (found == last_.end() || found->second.incarnation != incarnation) {
    return 0;
  }
  return found->second.sequence;
}

}  // namespace muster::runs
