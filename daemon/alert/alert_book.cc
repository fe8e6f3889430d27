#include <algorithm>
#include <utility>

#include "daemon/alert/alert.h"

namespace muster::alert {
namespace {

bool SameEvent(const detect::Finding& a, const detect::Finding& b) {
  return a.kind == b.kind && a.ranks == b.ranks && a.subject == b.subject;
}

}  // namespace

const char* StateName(State state) {
  switch (state) {
    case State::kPending:
      return "pending";
    case State::kFiring:
      return "firing";
    case State::kResolved:
      return "resolved";
  }
  return "unknown";
}

AlertBook::AlertBook(AlertOptions options) : options_(options) {}

AlertBook::AlertBook(AlertOptions options, Saved saved)
    : options_(options),
      next_id_(saved.next_id),
      alive_(std::move(saved.alive)),
      raised_steps_(std::move(saved.raised_steps)),
      resolved_(std::move(saved.resolved)),
      fired_total_(saved.fired_total),
      overflow_count_(saved.overflow_count) {
  raised_steps_.resize(alive_.size(), 1);
}

AlertBook::Saved AlertBook::Save(bool with_resolved) const {
  Saved saved{.next_id = next_id_,
              .alive = alive_,
              .raised_steps = raised_steps_,
              .fired_total = fired_total_,
              .overflow_count = overflow_count_};
  if (with_resolved) saved.resolved = resolved_;
  return saved;
}

void AlertBook::Take(const detect::Finding& finding, bool silent,
                     absl::Time now, std::vector<Alert>& changes) {
  if (finding.phase == detect::Phase::kRaise) {
    Raise(finding, silent, now, changes);
    return;
  }
  const auto it = std::find_if(
      alive_.begin(), alive_.end(),
      [&](const Alert& alert) { return SameEvent(alert.finding, finding); });
  if (it == alive_.end()) return;
  Alert alert = std::move(*it);
  raised_steps_.erase(raised_steps_.begin() + (it - alive_.begin()));
  alive_.erase(it);
  Resolve(std::move(alert), now, changes);
}

void AlertBook::Raise(const detect::Finding& finding, bool silent,
                      absl::Time now, std::vector<Alert>& changes) {
  size_t index = 0;
  while (index < alive_.size() && !SameEvent(alive_[index].finding, finding)) {
    ++index;
  }
  if (index < alive_.size()) {
    Alert& alert = alive_[index];
    if (finding.last_step != alert.finding.last_step ||
        finding.attempt != alert.finding.attempt) {
      ++raised_steps_[index];
    }
    const uint64_t first_step = alert.finding.first_step;
    alert.finding = finding;
    alert.finding.first_step = first_step;
    alert.silent = alert.silent && silent;
    FireIfDue(index, now, changes);
    return;
  }
  if (alive_.size() >= static_cast<size_t>(std::max(options_.max_alive, 0))) {
    ++overflow_count_;
    return;
  }
  Alert alert;
  alert.id = next_id_++;
  alert.finding = finding;
  alert.silent = silent;
  alert.changed = now;
  alert.fired = absl::InfinitePast();
  alive_.push_back(std::move(alert));
  raised_steps_.push_back(1);
  if (options_.pending_steps > 1) {
    changes.push_back(alive_.back());
  } else {
    FireIfDue(index, now, changes);
  }
}

void AlertBook::FireIfDue(size_t index, absl::Time now,
                          std::vector<Alert>& changes) {
  Alert& alert = alive_[index];
  if (alert.state != State::kPending ||
      raised_steps_[index] < options_.pending_steps) {
    return;
  }
  alert.state = State::kFiring;
  alert.changed = now;
  alert.fired = now;
  ++fired_total_[static_cast<size_t>(alert.finding.kind)];
  changes.push_back(alert);
}

void AlertBook::Resolve(Alert alert, absl::Time now,
                        std::vector<Alert>& changes) {
  const bool fired = alert.state == State::kFiring;
  alert.state = State::kResolved;
  alert.changed = now;
  changes.push_back(alert);
  if (!fired) return;
  resolved_.push_back(std::move(alert));
  while (resolved_.size() >
         static_cast<size_t>(std::max(options_.keep_resolved, 0))) {
    resolved_.pop_front();
  }
}

void AlertBook::ResolveAll(absl::Time now, std::vector<Alert>& changes) {
  std::vector<Alert> alive = std::exchange(alive_, {});
  raised_steps_.clear();
  for (Alert& alert : alive) Resolve(std::move(alert), now, changes);
}

}  // namespace muster::alert
