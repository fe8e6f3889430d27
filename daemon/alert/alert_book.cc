#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "daemon/alert/alert.h"

namespace muster::alert {
namespace {

using detect::Kind;
using detect::Phase;

bool Intersect(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    if (*i == *j) return true;
    ++(*i < *j ? i : j);
  }
  return false;
}

// Whether ranks that state something else could behave like this because of it.
bool MayFollowFromFacts(Kind kind) {
  switch (kind) {
    case Kind::kDuplicateShard:
    case Kind::kRankOutlier:
    case Kind::kDispersionShift:
    case Kind::kDirectionShift:
    case Kind::kRankLagging:
    case Kind::kShardOverlap:
    case Kind::kReplicaDrift:
      return true;
    case Kind::kNonFinite:
    case Kind::kFactMismatch:
    case Kind::kRankMissing:
    case Kind::kRunStalled:
      return false;
  }
  return false;
}

bool Stands(const Evidence& evidence) { return evidence.standing; }

bool AnyStands(const Alert& alert) {
  return std::any_of(alert.evidence.begin(), alert.evidence.end(), Stands);
}

// Where a new piece goes: at the end, in place of one that is gone, or nowhere.
Evidence* PlaceFor(Alert& alert) {
  if (alert.evidence.size() < kMaxEvidence) {
    return &alert.evidence.emplace_back();
  }
  const auto gone =
      std::find_if_not(alert.evidence.begin(), alert.evidence.end(), Stands);
  if (gone != alert.evidence.end()) {
    alert.evidence.erase(gone);
    return &alert.evidence.emplace_back();
  }
  ++alert.evidence_omitted;
  return nullptr;
}

Evidence* FindSubject(Alert& alert, const std::string& subject) {
  for (Evidence& each : alert.evidence) {
    if (each.subject == subject) return &each;
  }
  return nullptr;
}

void TakeEvidence(const detect::Finding& finding, Alert& alert) {
  Evidence* piece = FindSubject(alert, finding.subject);
  if (piece == nullptr) {
    piece = PlaceFor(alert);
    if (piece == nullptr) return;
    piece->subject = finding.subject;
    piece->first_step = finding.first_step;
  }
  piece->value = finding.value;
  piece->expected = finding.expected;
  piece->last_step = finding.last_step;
  piece->sentence = finding.evidence;
  piece->standing = true;
}

}  // namespace

const char* StateName(State state) {
  switch (state) {
    case State::kPending:
      return "pending";
    case State::kFiring:
      return "firing";
    case State::kObserved:
      return "observed";
    case State::kResolved:
      return "resolved";
  }
  return "unknown";
}

AlertBook::AlertBook(AlertOptions options, const detect::KindSettings& kinds)
    : options_(options), kinds_(kinds) {}

AlertBook::AlertBook(AlertOptions options, const detect::KindSettings& kinds,
                     Saved saved)
    : options_(options),
      kinds_(kinds),
      next_id_(saved.next_id),
      alive_(std::move(saved.alive)),
      lives_(std::move(saved.lives)),
      resolved_(std::move(saved.resolved)),
      fired_total_(saved.fired_total),
      overflow_count_(saved.overflow_count) {
  lives_.resize(alive_.size());
}

AlertBook::Saved AlertBook::Save(bool with_resolved) const {
  Saved saved{.next_id = next_id_,
              .alive = alive_,
              .lives = lives_,
              .fired_total = fired_total_,
              .overflow_count = overflow_count_};
  if (with_resolved) saved.resolved = resolved_;
  return saved;
}

void AlertBook::Take(const detect::Finding& finding, bool silent,
                     absl::Time now, std::vector<Alert>& changes) {
  if (finding.phase == Phase::kRaise) {
    Raise(finding, silent, now, changes);
  } else {
    Clear(finding, now, changes);
  }
}

void AlertBook::Raise(const detect::Finding& finding, bool silent,
                      absl::Time now, std::vector<Alert>& changes) {
  size_t index = 0;
  while (index < alive_.size() &&
         (alive_[index].finding.kind != finding.kind ||
          alive_[index].finding.ranks != finding.ranks)) {
    ++index;
  }
  // Whoever looks at the loss sees at once that it has stopped.
  silent = silent && finding.kind != Kind::kRunStalled;
  if (index == alive_.size()) {
    if (alive_.size() >= static_cast<size_t>(std::max(options_.max_alive, 0))) {
      ++overflow_count_;
      return;
    }
    Alert alert;
    alert.id = next_id_++;
    alert.severity = kinds_[static_cast<size_t>(finding.kind)].severity;
    alert.finding = finding;
    alert.silent = silent;
    alert.changed = now;
    alert.fired = absl::InfinitePast();
    alive_.push_back(std::move(alert));
    lives_.emplace_back();
  }
  Alert& alert = alive_[index];
  Life& life = lives_[index];
  if (life.raised_steps == 0 || finding.last_step != life.step ||
      finding.attempt != life.attempt) {
    ++life.raised_steps;
  }
  const bool is_new = alert.evidence.empty();
  life.step = finding.last_step;
  life.attempt = finding.attempt;
  life.quiet_frames = 0;
  alert.finding.attempt = finding.attempt;
  alert.finding.first_step =
      std::min(alert.finding.first_step, finding.first_step);
  alert.finding.last_step = finding.last_step;
  alert.silent = alert.silent && silent;
  TakeEvidence(finding, alert);
  Lead(alert);
  FireIfDue(index, now, changes);
  if (is_new && alert.state == State::kPending) changes.push_back(alert);
}

void AlertBook::Lead(Alert& alert) const {
  detect::Finding& finding = alert.finding;
  const auto lead =
      std::find_if(alert.evidence.begin(), alert.evidence.end(), Stands);
  if (lead == alert.evidence.end()) return;  // as it was last
  finding.subject = lead->subject;
  finding.value = lead->value;
  finding.expected = lead->expected;
  finding.evidence = lead->sentence;
  if (!MayFollowFromFacts(finding.kind)) return;
  for (const Alert& other : alive_) {
    if (other.finding.kind != Kind::kFactMismatch ||
        (!finding.ranks.empty() &&
         !Intersect(other.finding.ranks, finding.ranks))) {
      continue;
    }
    alert.explained_by = other.id;
    absl::StrAppend(&finding.evidence, " Alert ", other.id,
                    " may explain it: ", other.finding.evidence);
    return;
  }
}

void AlertBook::FireIfDue(size_t index, absl::Time now,
                          std::vector<Alert>& changes) {
  Alert& alert = alive_[index];
  const Kind kind = alert.finding.kind;
  if (alert.state != State::kPending ||
      (lives_[index].raised_steps < options_.pending_steps &&
       kind != Kind::kRunStalled)) {
    return;
  }
  alert.changed = now;
  if (kinds_[static_cast<size_t>(kind)].mode == detect::Mode::kObserve) {
    alert.state = State::kObserved;
  } else {
    alert.state = State::kFiring;
    alert.fired = now;
    ++fired_total_[static_cast<size_t>(kind)];
  }
  changes.push_back(alert);
}

void AlertBook::Clear(const detect::Finding& finding, absl::Time now,
                      std::vector<Alert>& changes) {
  for (size_t index = 0; index < alive_.size(); ++index) {
    Alert& alert = alive_[index];
    if (alert.finding.kind != finding.kind ||
        alert.finding.ranks != finding.ranks) {
      continue;
    }
    Evidence* piece = FindSubject(alert, finding.subject);
    if (piece == nullptr) return;
    piece->standing = false;
    Lead(alert);
    if (AnyStands(alert)) return;
    if (alert.state == State::kPending || options_.resolve_frames <= 0 ||
        finding.phase == Phase::kReplaced) {
      Resolve(index, now, changes);
    }
    return;
  }
}

void AlertBook::EndFrame(absl::Time now, std::vector<Alert>& changes) {
  for (size_t index = 0; index < alive_.size();) {
    if (!AnyStands(alive_[index]) &&
        ++lives_[index].quiet_frames > options_.resolve_frames) {
      Resolve(index, now, changes);
    } else {
      ++index;
    }
  }
}

void AlertBook::Resolve(size_t index, absl::Time now,
                        std::vector<Alert>& changes) {
  const auto offset = static_cast<ptrdiff_t>(index);
  Alert alert = std::move(alive_[index]);
  alive_.erase(alive_.begin() + offset);
  lives_.erase(lives_.begin() + offset);
  const bool was_shown = alert.state != State::kPending;
  alert.state = State::kResolved;
  alert.changed = now;
  changes.push_back(alert);
  if (!was_shown) return;
  resolved_.push_back(std::move(alert));
  while (resolved_.size() >
         static_cast<size_t>(std::max(options_.keep_resolved, 0))) {
    resolved_.pop_front();
  }
}

void AlertBook::ResolveAll(absl::Time now, std::vector<Alert>& changes) {
  while (!alive_.empty()) Resolve(0, now, changes);
}

}  // namespace muster::alert
