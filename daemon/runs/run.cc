#include "daemon/runs/run.h"

#include <algorithm>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace muster::runs {
namespace {

constexpr size_t kMaxShownAlerts = 64;

// Most messages processed before the next run takes its turn, and the time
// after which no other is begun: some cost as much as the run has ranks.
constexpr int kTurnMessages = 1024;
constexpr absl::Duration kTurnTime = absl::Milliseconds(50);

std::string Describe(const frames::SketchSpec& spec) {
  return absl::StrCat("version ", spec.version, ", width ", spec.width,
                      ", seed ", spec.seed);
}

}  // namespace

Run::Run(std::string name, RunOptions options, Clock clock,
         AlertObserver observer, Executor& executor, history::Writer* history,
         StepObserver steps)
    : name_(std::move(name)),
      options_(std::move(options)),
      machine_clock_(std::move(clock)),
      observer_(std::move(observer)),
      executor_(executor),
      assembler_(options_.assembler),
      judge_(options_.detect, options_.alert),
      recorder_(history, name_, options_.configuration, std::move(steps)),
      store_(std::make_shared<FrameStore>(options_.store)) {
  draft_.run = name_;
  draft_.store = store_;
  draft_.state_since = last_now_ = Now();
  snapshot_ = std::make_shared<const RunSnapshot>(draft_);
}

Posted Run::Post(Message message, size_t bytes) {
  const frames::Instant arrived = Now();
  bool full = false;
  bool schedule = false;
  {
    MutexLock lock(mutex_);
    if (retired_) return Posted::kRetired;
    queue_.push_back({std::move(message), bytes, arrived});
    queued_bytes_ += bytes;
    full = queued_bytes_ > options_.queue_bytes;
    schedule = !std::exchange(scheduled_, true);
  }
  if (schedule) {
    executor_.Schedule([self = shared_from_this()] { self->Process(); });
  }
  return full ? Posted::kFull : Posted::kTaken;
}

void Run::NotifyWhenDrained(std::function<void()> callback) {
  {
    MutexLock lock(mutex_);
    if (queued_bytes_ > options_.queue_bytes / 2) {
      waiting_.push_back(std::move(callback));
      return;
    }
  }
  callback();
}

bool Run::IsFull() const {
  MutexLock lock(mutex_);
  return queued_bytes_ > options_.queue_bytes;
}

std::shared_ptr<const RunSnapshot> Run::snapshot() const {
  MutexLock lock(mutex_);
  return snapshot_;
}

bool Run::Retire(const std::shared_ptr<const RunSnapshot>& seen) {
  MutexLock lock(mutex_);
  if (scheduled_ || !queue_.empty() || snapshot_ != seen) return false;
  retired_ = true;
  return true;
}

std::optional<Run::Queued> Run::TakeQueued() {
  MutexLock lock(mutex_);
  if (queue_.empty()) return std::nullopt;
  Queued queued = std::move(queue_.front());
  queue_.pop_front();
  return queued;
}

void Run::Process() {
  const frames::Instant turn_end = Now() + kTurnTime;
  size_t bytes = 0;
  for (int i = 0; i < kTurnMessages; ++i) {
    std::optional<Queued> queued = TakeQueued();
    if (!queued) break;
    bytes += queued->bytes;
    // Streams stamp their messages side by side: order them here.
    last_now_ = std::max(last_now_, queued->arrived);
    std::visit([this](auto& message) { Handle(message, last_now_); },
               queued->message);
    if (Now() >= turn_end) break;
  }
  if (recorder_.IsDue(last_now_, assembler_.has_open_frames())) Submit();
  if (!changes_.empty()) ShowAlerts();
  recorder_.EndTurn();
  if (std::exchange(dirty_, false)) Publish();

  std::vector<std::function<void()>> drained;
  bool again = false;
  {
    MutexLock lock(mutex_);
    queued_bytes_ -= bytes;
    if (queued_bytes_ <= options_.queue_bytes / 2) drained.swap(waiting_);
    again = !queue_.empty();
    scheduled_ = again;
  }
  for (const auto& callback : drained) callback();
  if (again) {
    executor_.Schedule([self = shared_from_this()] { self->Process(); });
  }
}

void Run::Handle(SourceOpened& message, frames::Instant now) {
  const frames::SourceInfo& info = message.info;
  if (!sketch_) sketch_ = info.sketch;
  dirty_ = true;
  if (info.sketch != *sketch_) {
    message.link->Refuse(RunRefusal::kSketchMismatch, 0,
                         absl::StrCat("sketch is ", Describe(info.sketch),
                                      "; this run uses ", Describe(*sketch_)));
    JudgeEvent(frames::SketchRefused{info.rank, *sketch_, info.sketch, now});
    return;
  }
  const frames::Registration registration =
      assembler_.Register(info, message.facts, now);
  if (registration == frames::Registration::kSuperseded) {
    message.link->Refuse(
        RunRefusal::kSuperseded, 0,
        absl::StrCat("a newer process has taken over rank ", info.rank));
    JudgeEvents();
    return;
  }
  Linked& linked = links_[info.rank];
  if (linked.link && linked.incarnation != info.incarnation) {
    linked.link->Refuse(
        RunRefusal::kSuperseded, 0,
        absl::StrCat("process ", info.pid, " on host '", info.host,
                     "' has taken over rank ", info.rank));
  }
  linked = {info.incarnation, message.link};
  message.link->Welcome(
      recorder_.Settled(info.rank, info.incarnation,
                        assembler_.LastSequence(info.rank, info.incarnation)));
  message.link->ShowAlerts(FiringAlerts());
  JudgeEvents();
}

bool Run::SpeaksForAnother(const SourceReported& message) const {
  const auto linked = links_.find(message.rank);
  return (linked == links_.end() || linked->second.link != message.link) &&
         assembler_.IsCurrent(message.rank, message.incarnation);
}

void Run::Handle(SourceReported& message, frames::Instant now) {
  // A snapshot costs as much as the run has ranks: a frame or the next tick
  // publishes what each single report changes.
  reported_ = true;
  if (SpeaksForAnother(message)) {
    message.link->Refuse(
        RunRefusal::kUnknownSource, 0,
        absl::StrCat("this stream does not speak for rank ", message.rank));
    return;
  }
  for (frames::Report& report : message.reports) {
    ++draft_.reports_received;
    const uint64_t sequence = report.sequence;
    switch (assembler_.Add(message.incarnation, std::move(report), now)) {
      case frames::Admission::kKept:
      case frames::Admission::kDuplicate:
      case frames::Admission::kLate:
        break;
      case frames::Admission::kSuperseded:
        message.link->Refuse(
            RunRefusal::kSuperseded, sequence,
            absl::StrCat("a newer process has taken over rank ", message.rank));
        JudgeEvents();
        return;
      case frames::Admission::kUnknown:
        message.link->Refuse(
            RunRefusal::kUnknownSource, sequence,
            absl::StrCat("rank ", message.rank, " has not been registered"));
        return;
    }
  }
  if (message.settled_sequence > 0) {
    recorder_.Acknowledge(message.rank, message.incarnation,
                          message.settled_sequence, message.link);
  }
  JudgeEvents();
}

void Run::Handle(FactsStated& message, frames::Instant now) {
  assembler_.SetFacts(message.rank, message.incarnation, message.facts);
  dirty_ = true;
}

void Run::Handle(SourceDeparted& message, frames::Instant now) {
  const auto linked = links_.find(message.rank);
  if (linked != links_.end() &&
      linked->second.incarnation == message.incarnation) {
    links_.erase(linked);
  }
  // An older process of the rank takes nothing from the one that lives.
  if (assembler_.IsCurrent(message.rank, message.incarnation)) {
    shown_ranks_.Leave(message.rank);
  }
  assembler_.Depart(message.rank, message.incarnation, now);
  dirty_ = true;
  JudgeEvents();
}

void Run::Handle(SourceDisconnected& message, frames::Instant now) {
  const auto linked = links_.find(message.rank);
  if (linked == links_.end() || linked->second.link != message.link) return;
  links_.erase(linked);
  assembler_.Disconnect(message.rank, message.incarnation, now);
  dirty_ = true;
  JudgeEvents();
}

void Run::Handle(ClaimRefused& message, frames::Instant now) {
  assembler_.Contest(message.rank, message.incarnation, now);
  dirty_ = true;
  JudgeEvents();
}

void Run::Handle(TimePassed& message, frames::Instant now) {
  dirty_ |= std::exchange(reported_, false);
  assembler_.Advance(now);
  JudgeEvents();
}

void Run::JudgeEvents() {
  for (const frames::Event& event : assembler_.TakeEvents()) {
    if (const auto* closed = std::get_if<frames::FrameClosed>(&event)) {
      JudgeFrame(closed->frame);
    } else {
      JudgeEvent(event);
    }
  }
}

void Run::JudgeEvent(const frames::Event& event) {
  const absl::Time wall = machine_clock_.wall();
  const size_t before = changes_.size();
  judge_.TakeEvent(event, wall, changes_);
  std::visit(
      [&](const auto& each) {
        using Each = std::decay_t<decltype(each)>;
        if constexpr (std::is_same_v<Each, frames::Tick>) {
          recorder_.Add(history::Ticks{{{each.now, wall}}}, wall, changes_,
                        before);
        } else if constexpr (!std::is_same_v<Each, frames::FrameClosed>) {
          recorder_.Add(each, wall, changes_, before);
        }
      },
      event);
}

void Run::JudgeFrame(const std::shared_ptr<const frames::Frame>& frame) {
  dirty_ = true;
  const absl::Time wall = machine_clock_.wall();
  const size_t before = changes_.size();
  const auto measures = judge_.TakeFrame(*frame, wall, changes_);
  recorder_.Add(history::Judged{frame, measures}, wall, changes_, before);
  if (measures->loss) draft_.step_loss_stddev.Observe(measures->loss->stddev);
  if (measures->gradient_norm) {
    draft_.step_gradient_norm_stddev.Observe(measures->gradient_norm->stddev);
  }
  if (measures->cosine_mean) {
    draft_.step_gradient_divergence.Observe(
        std::max(0.0, 1 - *measures->cosine_mean));
  }
  draft_.frame_delay_seconds.Observe(absl::ToDoubleSeconds(
      std::max(absl::ZeroDuration(), Now() - frame->last_arrival)));
  ++(frame->complete() ? draft_.frames_complete : draft_.frames_partial);
  shown_ranks_.Take(*measures);
  draft_.newest = measures;
  draft_.newest_time = wall;
  store_->Append({measures, frame,
                  frame->reason == frames::CloseReason::kSuperseded, wall});
}

void Run::Submit() {
  recorder_.Submit(assembler_, judge_.alerts(), sketch_, last_now_,
                   machine_clock_.wall());
}

void Run::Flush() {
  if (recorder_.enabled() && !recorder_.empty()) Submit();
}

std::shared_ptr<const std::vector<alert::Alert>> Run::FiringAlerts() const {
  auto firing = std::make_shared<std::vector<alert::Alert>>();
  const auto& alive = judge_.alerts().alive();
  for (auto it = alive.rbegin();
       it != alive.rend() && firing->size() < kMaxShownAlerts; ++it) {
    if (it->state == alert::State::kFiring) firing->push_back(*it);
  }
  return firing;
}

void Run::ShowAlerts() {
  dirty_ = true;
  std::set<uint32_t> named;
  for (const alert::Alert& change : changes_) {
    observer_(name_, change);
    named.insert(change.finding.ranks.begin(), change.finding.ranks.end());
  }
  changes_.clear();
  const auto firing = FiringAlerts();
  // Where one stream carries many ranks, those that are named hear first.
  for (const bool first : {true, false}) {
    for (const auto& [rank, linked] : links_) {
      if (named.contains(rank) == first) linked.link->ShowAlerts(firing);
    }
  }
}

void Run::Publish() {
  draft_.sources = assembler_.Sources();
  draft_.attempts = assembler_.attempts();
  draft_.shown_ranks = shown_ranks_.ranks();
  draft_.reports_late = assembler_.late_count();
  draft_.reports_duplicate = assembler_.duplicate_count();
  draft_.reports_dropped_client = assembler_.dropped_count();
  if (!draft_.attempts.empty()) {
    draft_.attempt = draft_.attempts.back().attempt;
    draft_.world_size = draft_.attempts.back().world_size;
  } else if (!draft_.sources.empty()) {
    draft_.world_size = draft_.sources.back().info.world_size;
  }
  bool any_connected = false;
  bool all_departed = !draft_.sources.empty();
  for (const auto& source : draft_.sources) {
    any_connected |= source.connected && !source.departed;
    // Ranks of an earlier, larger world are not waited for.
    if (source.info.rank < draft_.world_size) all_departed &= source.departed;
  }
  const RunState state = any_connected  ? RunState::kLive
                         : all_departed ? RunState::kEnded
                                        : RunState::kSilent;
  if (state != std::exchange(draft_.state, state)) {
    // Readers know the machine's clock.
    draft_.state_since = last_now_ - ahead_;
  }
  const alert::AlertBook& book = judge_.alerts();
  draft_.alerts.assign(book.alive().rbegin(), book.alive().rend());
  draft_.alerts.insert(draft_.alerts.end(), book.resolved().rbegin(),
                       book.resolved().rend());
  draft_.alerts_firing.fill(0);
  for (const alert::Alert& alert : book.alive()) {
    if (alert.state != alert::State::kFiring) continue;
    ++draft_.alerts_firing[static_cast<size_t>(alert.finding.kind)];
  }
  draft_.alerts_total = book.fired_total();
  draft_.history_run = recorder_.run();
  auto snapshot = std::make_shared<const RunSnapshot>(draft_);
  MutexLock lock(mutex_);
  snapshot_.swap(snapshot);
}

}  // namespace muster::runs
