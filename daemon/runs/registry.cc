#include "daemon/runs/registry.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace muster::runs {

Registry::Registry(Options options, Clock clock, AlertObserver observer,
                   history::Writer* history, StepObserver steps)
    : options_(std::move(options)),
      clock_(std::move(clock)),
      observer_(std::move(observer)),
      history_(history),
      steps_(std::move(steps)),
      executor_(options_.worker_threads),
      run_options_(options_.run) {}

Registry::~Registry() { Drain(); }

int Registry::Resume(const history::Reader& reader,
                     const std::function<void(const std::string& run,
                                              const absl::Status&)>& failed) {
  const auto stored = reader.Runs();
  if (!stored.ok()) {
    failed("", stored.status());
    return 0;
  }
  int resumed = 0;
  MutexLock lock(mutex_);
  for (const history::StoredRun& each : *stored) {
    if (!each.open) continue;
    auto run = std::make_shared<Run>(each.name, run_options_, clock_, observer_,
                                     executor_, history_, steps_);
    history_->Continue(each);
    const absl::Status status = run->Resume(reader, each);
    if (!status.ok()) {
      history_->End(each.run);
      failed(each.name, status);
      continue;
    }
    runs_[each.name] = std::move(run);
    ++resumed;
  }
  return resumed;
}

absl::StatusOr<std::shared_ptr<Run>> Registry::Open(std::string_view run,
                                                    SourceOpened source) {
  const size_t bytes = sizeof(Message) + frames::BytesOf(*source.facts);
  for (;;) {
    std::vector<std::shared_ptr<const RunSnapshot>> forgotten;
    const std::shared_ptr<Run> found = FindOrCreate(run, forgotten);
    TellForgotten(forgotten);
    if (found == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "already following ", options_.max_runs, " runs, the limit"));
    }
    // A run can be forgotten between finding it and posting to it.
    if (found->Post(source, bytes) != Posted::kRetired) return found;
  }
}

void Registry::Post(std::string_view run, Message message) {
  std::shared_ptr<Run> found;
  {
    MutexLock lock(mutex_);
    const auto it = runs_.find(run);
    if (it == runs_.end()) return;
    found = it->second;
  }
  found->Post(std::move(message), sizeof(Message));
}

std::shared_ptr<Run> Registry::FindOrCreate(
    std::string_view run,
    std::vector<std::shared_ptr<const RunSnapshot>>& forgotten) {
  MutexLock lock(mutex_);
  auto it = runs_.find(run);
  if (it == runs_.end()) {
    const auto limit = static_cast<size_t>(options_.max_runs);
    if (runs_.size() >= limit) forgotten = Forget(/*make_room=*/true);
    if (runs_.size() >= limit) return nullptr;
    std::string name(run);
    auto created = std::make_shared<Run>(name, run_options_, clock_, observer_,
                                         executor_, history_, steps_);
    it = runs_.emplace(std::move(name), std::move(created)).first;
  }
  return it->second;
}

std::vector<std::shared_ptr<const RunSnapshot>> Registry::Snapshots() const {
  std::vector<std::shared_ptr<const RunSnapshot>> snapshots;
  MutexLock lock(mutex_);
  for (const auto& [name, run] : runs_) snapshots.push_back(run->snapshot());
  return snapshots;
}

std::shared_ptr<const RunSnapshot> Registry::Snapshot(
    std::string_view run) const {
  MutexLock lock(mutex_);
  const auto it = runs_.find(run);
  return it == runs_.end() ? nullptr : it->second->snapshot();
}

void Registry::Reconfigure(RunOptions options) {
  MutexLock lock(mutex_);
  run_options_ = std::move(options);
}

void Registry::Tick() {
  std::vector<std::shared_ptr<Run>> runs;
  std::vector<std::shared_ptr<const RunSnapshot>> forgotten;
  {
    MutexLock lock(mutex_);
    forgotten = Forget(/*make_room=*/false);
    for (const auto& [name, run] : runs_) runs.push_back(run);
  }
  TellForgotten(forgotten);
  for (const auto& run : runs) run->Post(TimePassed{}, sizeof(Message));
}

void Registry::Drain() {
  executor_.Join();
  MutexLock lock(mutex_);
  for (const auto& [name, run] : runs_) run->Flush();
}

std::vector<std::shared_ptr<const RunSnapshot>> Registry::Forget(
    bool make_room) {
  std::vector<std::shared_ptr<const RunSnapshot>> forgotten;
  const frames::Instant now = clock_.monotonic();
  const auto keep_silent =
      make_room ? std::min(options_.keep_ended, options_.keep_silent)
                : options_.keep_silent;
  for (auto it = runs_.begin(); it != runs_.end();) {
    const auto snapshot = it->second->snapshot();
    const absl::Duration age = now - snapshot->state_since;
    const bool over =
        (snapshot->state == RunState::kEnded &&
         (make_room || age > options_.keep_ended)) ||
        (snapshot->state == RunState::kSilent && age > keep_silent);
    if (over && it->second->Retire(snapshot)) {
      if (it->second->history_run() != 0) {
        history_->End(it->second->history_run());
      }
      forgotten.push_back(snapshot);
      it = runs_.erase(it);
    } else {
      ++it;
    }
  }
  return forgotten;
}

void Registry::TellForgotten(
    const std::vector<std::shared_ptr<const RunSnapshot>>& forgotten) {
  for (const auto& snapshot : forgotten) {
    for (alert::Alert alert : snapshot->alerts) {
      if (alert.state == alert::State::kResolved) continue;
      alert.state = alert::State::kResolved;
      alert.changed = clock_.wall();
      observer_(snapshot->run, alert);
    }
  }
}

void DaemonCounters::Declare(std::string_view reason) {
  MutexLock lock(mutex_);
  rejected_.try_emplace(std::string(reason), 0);
}

void DaemonCounters::CountRejected(std::string_view reason) {
  MutexLock lock(mutex_);
  ++rejected_[std::string(reason)];
}

std::map<std::string, uint64_t> DaemonCounters::Rejected() const {
  MutexLock lock(mutex_);
  return rejected_;
}

}  // namespace muster::runs
