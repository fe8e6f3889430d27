#include "daemon/frames/assembler.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "daemon/frames/assembler_state.h"
#include "daemon/frames/frame_window.h"
#include "daemon/frames/rank_state.h"

namespace muster::frames {
namespace {

// The newest attempts are kept.
constexpr size_t kAttemptsKept = 256;

// Open frames of more than max_open_bytes times this are closed without
// waiting for anybody.
constexpr size_t kHardLimitFactor = 8;

std::shared_ptr<const FactSet> OrEmpty(std::shared_ptr<const FactSet> facts) {
  return facts != nullptr ? std::move(facts) : std::make_shared<FactSet>();
}

}  // namespace

struct FrameAssembler::State {
  explicit State(AssemblerOptions assembler_options)
      : options(assembler_options) {}

  const AssemblerOptions options;
  std::map<uint32_t, RankState> ranks;
  FrameWindow window;
  uint32_t attempt = 0;  // current one; 0 before the first report
  Instant attempt_began;
  bool ended = false;
  // Counts starts of the whole job: the first rank to come back as a new
  // incarnation begins the next one, and then the others are expected back too,
  // even those that had departed.
  uint64_t generation = 0;
  std::vector<AttemptState> attempts;
  std::vector<Event> events;
  uint64_t late = 0;
  uint64_t dropped = 0;
  uint64_t duplicates = 0;
  uint64_t sources_version = 0;

  RankState* FindCurrent(uint32_t rank, uint64_t incarnation) {
    const auto it = ranks.find(rank);
    if (it == ranks.end()) return nullptr;
    return it->second.source.info.incarnation == incarnation ? &it->second
                                                             : nullptr;
  }

  Reach ReachOf(const RankState& rank) const {
    if (rank.absent) return kReachedAll;
    if (rank.source.attempt != attempt || attempt == 0) return kReachedNothing;
    return rank.source.last_step + 1;
  }

  // Applies `change` to the rank and tells the window how far that moved it.
  template <typename Change>
  void Update(RankState& rank, Change change) {
    const Reach before = ReachOf(rank);
    change(rank);
    if (rank.source.info.rank < window.world_size()) {
      window.Move(before, ReachOf(rank));
    }
  }

  void Supersede(RankState& rank, Instant now);
  void BeginGeneration();
  void BeginAttempt(uint32_t world_size, AttemptCause cause, Instant now);
  bool JoinAttempt(RankState& rank, uint64_t step, Instant now);
  void NoteContest(RankState& rank, uint64_t incarnation, Instant now);
  void CloseOldest(CloseReason reason, Instant now);
  void CloseDue(Instant now);
  void EndIfAllDeparted(Instant now);
};

void FrameAssembler::State::Supersede(RankState& rank, Instant now) {
  ++sources_version;
  const SourceState& old = rank.source;
  events.push_back(SourceDown{old.info.rank, old.info.incarnation,
                              DownReason::kSuperseded, now});
  rank.RememberSuperseded(now);
  window.Void(old.info.rank);
  if (rank.generation == generation) BeginGeneration();
}

void FrameAssembler::State::BeginGeneration() {
  ++generation;
  ++sources_version;
  for (auto& [number, rank] : ranks) {
    Update(rank, [](RankState& each) { each.absent = false; });
  }
}

void FrameAssembler::State::BeginAttempt(uint32_t world_size,
                                         AttemptCause cause, Instant now) {
  while (!window.empty()) CloseOldest(CloseReason::kSuperseded, now);
  if (!attempts.empty()) attempts.back().superseded = true;
  if (attempts.size() == kAttemptsKept) attempts.erase(attempts.begin());
  ++attempt;
  attempt_began = now;
  ++sources_version;
  const bool first = attempt == 1;
  const bool changed = !first && world_size != window.world_size();
  attempts.push_back({.attempt = attempt,
                      .world_size = world_size,
                      .cause = first ? AttemptCause::kStart : cause});
  events.push_back(
      AttemptBegan{attempt, world_size, attempts.back().cause, changed, now});

  uint32_t absent = 0;
  for (auto& [number, rank] : ranks) {
    // Whoever left before a restart or a resize is expected back; whoever left
    // before others rewound is not.
    if (!first && cause != AttemptCause::kRewind && rank.source.attempt != 0) {
      rank.absent = false;
    }
    if (number < world_size && rank.absent) ++absent;
  }
  window.Begin(attempt, world_size, absent);
}

// Begins another attempt if a report of that step calls for one. False if the
// source then still belongs to an attempt that is over.
bool FrameAssembler::State::JoinAttempt(RankState& rank, uint64_t step,
                                        Instant now) {
  const SourceState& source = rank.source;
  const uint32_t world_size = source.info.world_size;
  if (attempt == 0) {
    BeginAttempt(world_size, AttemptCause::kStart, now);
  } else if (source.attempt == 0) {
    if (world_size != window.world_size()) {
      BeginAttempt(world_size, AttemptCause::kResize, now);
    } else if (!window.IsOpen(step) && rank.earlier_attempt == attempt) {
      BeginAttempt(world_size, AttemptCause::kRestart, now);
    }
  } else if (source.attempt == attempt) {
    if (step < source.last_step) {
      BeginAttempt(world_size, AttemptCause::kRewind, now);
    }
  } else {
    // What was on its way when the others went back comes first. A source that
    // reported no more than the step they went back to repeats that step.
    const bool follows = step <= source.last_step;
    const bool stays =
        now - std::max(attempt_began, rank.greeted) >= options.frame_timeout;
    return world_size == window.world_size() && (follows || stays);
  }
  return true;
}

void FrameAssembler::State::NoteContest(RankState& rank, uint64_t incarnation,
                                        Instant now) {
  Superseded* past = rank.FindSuperseded(incarnation);
  const SourceInfo& newer = rank.source.info;
  if (now - past->at <= options.contested_after ||
      past->contested_with == newer.incarnation) {
    return;
  }
  ++sources_version;
  past->contested_with = newer.incarnation;
  events.push_back(
      RankContested{newer.rank, newer.incarnation, incarnation, now});
}

void FrameAssembler::State::CloseOldest(CloseReason reason, Instant now) {
  std::shared_ptr<const Frame> frame = window.CloseOldest(reason, now);
  AttemptState& state = attempts.back();
  if (state.frames == 0) state.first_step = frame->step;
  state.last_step = frame->step;
  ++state.frames;
  events.push_back(FrameClosed{std::move(frame)});
}

void FrameAssembler::State::CloseDue(Instant now) {
  while (!window.empty() && window.OldestIsDue()) {
    CloseOldest(CloseReason::kAllReported, now);
  }
  while (window.size() > static_cast<size_t>(options.max_newer_frames) &&
         (window.oldest_arrival() + options.overflow_after <= now ||
          window.bytes() > options.max_open_bytes)) {
    CloseOldest(CloseReason::kOverflow, now);
  }
  // However few they are, open frames stay within a bound.
  while (window.size() > 1 &&
         window.bytes() / kHardLimitFactor > options.max_open_bytes) {
    CloseOldest(CloseReason::kOverflow, now);
  }
}

void FrameAssembler::State::EndIfAllDeparted(Instant now) {
  if (ended || attempt == 0 || window.reached_all() < window.world_size()) {
    return;
  }
  while (!window.empty()) CloseOldest(CloseReason::kRunEnded, now);
  ended = true;
  events.push_back(RunEnded{now});
}

FrameAssembler::FrameAssembler(AssemblerOptions options)
    : state_(std::make_unique<State>(options)) {}

FrameAssembler::~FrameAssembler() = default;

Registration FrameAssembler::Register(const SourceInfo& info,
                                      std::shared_ptr<const FactSet> facts,
                                      Instant now) {
  const auto [it, is_new_rank] = state_->ranks.try_emplace(info.rank);
  RankState& rank = it->second;
  const bool known =
      !is_new_rank && rank.source.info.incarnation == info.incarnation;
  if (!known && rank.FindSuperseded(info.incarnation) != nullptr) {
    return Registration::kSuperseded;
  }
  if (!known && !is_new_rank) state_->Supersede(rank, now);
  ++state_->sources_version;
  state_->Update(rank, [&](RankState& each) {
    if (!known) {
      // The rank index must stay in place for the window's count.
      each.source = SourceState();
      each.has_sequence = false;
      each.generation = state_->generation;
    }
    each.greeted = now;
    each.source.info = info;
    each.source.facts = OrEmpty(std::move(facts));
    each.facts_kept = false;
    each.source.connected = true;
    each.source.departed = false;
    each.absent = false;
  });
  state_->ended = false;
  state_->events.push_back(SourceUp{info, rank.source.facts, now});
  return known ? Registration::kReconnected : Registration::kNew;
}

void FrameAssembler::SetFacts(uint32_t rank, uint64_t incarnation,
                              std::shared_ptr<const FactSet> facts) {
  if (RankState* state = state_->FindCurrent(rank, incarnation)) {
    ++state_->sources_version;
    state->source.facts = OrEmpty(std::move(facts));
    state->facts_kept = false;
  }
}

void FrameAssembler::Contest(uint32_t rank, uint64_t incarnation, Instant now) {
  const auto it = state_->ranks.find(rank);
  if (it == state_->ranks.end()) return;
  const uint64_t current = it->second.source.info.incarnation;
  state_->events.push_back(RankContested{rank, current, incarnation, now});
}

Admission FrameAssembler::Add(uint64_t incarnation, Report report,
                              Instant now) {
  const auto it = state_->ranks.find(report.rank);
  if (it == state_->ranks.end()) return Admission::kUnknown;
  RankState& rank = it->second;
  SourceState& source = rank.source;
  if (source.info.incarnation != incarnation) {
    if (rank.FindSuperseded(incarnation) == nullptr) return Admission::kUnknown;
    state_->NoteContest(rank, incarnation, now);
    return Admission::kSuperseded;
  }
  if (report.sequence <= source.last_sequence) {
    ++state_->duplicates;
    return Admission::kDuplicate;
  }
  state_->dropped += rank.SettleSequence(report.sequence);
  source.last_arrival = now;

  const uint64_t step = report.step;
  const bool again = source.has_reported && step == source.last_step &&
                     source.attempt == state_->attempt;
  const bool joins = !again && state_->JoinAttempt(rank, step, now);
  const bool kept = joins && state_->window.IsOpen(step);
  if (kept) {
    report.arrival = now;
    report.facts = source.facts;
    report.facts_bytes =
        std::exchange(rank.facts_kept, true) ? 0 : BytesOf(*report.facts);
    state_->window.Add(std::move(report), now);
  }
  state_->Update(rank, [&](RankState& each) {
    if (joins) each.source.attempt = state_->attempt;
    each.source.last_step = step;
    each.source.has_reported = true;
  });
  if (!kept) {
    ++state_->late;
    return Admission::kLate;
  }
  state_->CloseDue(now);
  return Admission::kKept;
}

void FrameAssembler::Disconnect(uint32_t rank, uint64_t incarnation,
                                Instant now) {
  RankState* state = state_->FindCurrent(rank, incarnation);
  if (state == nullptr || !state->source.connected) return;
  state->source.connected = false;
  ++state_->sources_version;
  state_->events.push_back(
      SourceDown{rank, incarnation, DownReason::kDisconnected, now});
}

void FrameAssembler::Depart(uint32_t rank, uint64_t incarnation, Instant now) {
  RankState* state = state_->FindCurrent(rank, incarnation);
  if (state == nullptr || state->source.departed) return;
  ++state_->sources_version;
  state_->Update(*state, [](RankState& each) {
    each.source.departed = true;
    each.source.connected = false;
    each.absent = true;
  });
  state_->events.push_back(
      SourceDown{rank, incarnation, DownReason::kDeparted, now});
  state_->EndIfAllDeparted(now);
  state_->CloseDue(now);
}

void FrameAssembler::Advance(Instant now) {
  const std::optional<uint64_t> due =
      state_->window.NewestOpenedBy(now - state_->options.frame_timeout);
  while (due && !state_->window.empty() &&
         state_->window.oldest_step() <= *due) {
    state_->CloseOldest(CloseReason::kTimeout, now);
  }
  state_->CloseDue(now);
  state_->events.push_back(Tick{now});
}

bool FrameAssembler::has_open_frames() const { return !state_->window.empty(); }

AssemblerState FrameAssembler::Save() const {
  AssemblerState saved;
  saved.sources_version = state_->sources_version;
  saved.ranks.reserve(state_->ranks.size());
  for (const auto& [number, rank] : state_->ranks) saved.ranks.push_back(rank);
  saved.attempt = state_->attempt;
  saved.attempt_began = state_->attempt_began;
  saved.ended = state_->ended;
  saved.generation = state_->generation;
  saved.attempts = state_->attempts;
  saved.late = state_->late;
  saved.dropped = state_->dropped;
  saved.duplicates = state_->duplicates;
  saved.last_closed = state_->window.last_closed();
  saved.open_frames = state_->window.OpenFrames();
  return saved;
}

void FrameAssembler::VisitOpen(
    const std::function<void(uint64_t incarnation, const Report&)>& visit)
    const {
  // Only reports of current incarnations are in open frames.
  state_->window.VisitReports([&](const Report& report) {
    const auto rank = state_->ranks.find(report.rank);
    visit(rank->second.source.info.incarnation, report);
  });
}

void FrameAssembler::Restore(const AssemblerState& saved,
                             std::vector<Report> open_reports, Instant now) {
  State& state = *state_;
  for (const RankState& rank : saved.ranks) {
    state.ranks[rank.source.info.rank] = rank;
  }
  state.attempt = saved.attempt;
  state.attempt_began = saved.attempt_began;
  state.ended = saved.ended;
  state.generation = saved.generation;
  state.attempts = saved.attempts;
  state.late = saved.late;
  state.dropped = saved.dropped;
  state.duplicates = saved.duplicates;
  state.sources_version = saved.sources_version;
  if (!state.attempts.empty()) {
    const uint32_t world_size = state.attempts.back().world_size;
    const auto count_reached = [&](Reach beyond) {
      uint32_t count = 0;
      for (const auto& [number, rank] : state.ranks) {
        if (number < world_size && state.ReachOf(rank) > beyond) ++count;
      }
      return count;
    };
    state.window.Begin(state.attempt, world_size,
                       count_reached(kReachedAll - 1));
    state.window.RestoreClosed(saved.last_closed);
    std::set<uint64_t> steps;
    for (const Report& report : open_reports) steps.insert(report.step);
    for (const FrameWindow::OpenFrame& frame : saved.open_frames) {
      if (steps.count(frame.step) == 0) continue;
      state.window.RestoreFrame(frame, count_reached(frame.step));
    }
    for (Report& report : open_reports) {
      state.window.RestoreReport(std::move(report));
    }
  }
  for (auto& [number, rank] : state.ranks) {
    Disconnect(number, rank.source.info.incarnation, now);
  }
}

bool FrameAssembler::IsCurrent(uint32_t rank, uint64_t incarnation) const {
  return state_->FindCurrent(rank, incarnation) != nullptr;
}

uint64_t FrameAssembler::LastSequence(uint32_t rank,
                                      uint64_t incarnation) const {
  const RankState* state = state_->FindCurrent(rank, incarnation);
  return state == nullptr ? 0 : state->source.last_sequence;
}

std::vector<Event> FrameAssembler::TakeEvents() {
  return std::exchange(state_->events, {});
}

std::vector<FrameAssembler::SourceState> FrameAssembler::Sources() const {
  std::vector<SourceState> sources;
  sources.reserve(state_->ranks.size());
  for (const auto& [number, rank] : state_->ranks) {
    sources.push_back(rank.source);
  }
  return sources;
}

const std::vector<FrameAssembler::AttemptState>& FrameAssembler::attempts()
    const {
  return state_->attempts;
}

uint64_t FrameAssembler::late_count() const { return state_->late; }
uint64_t FrameAssembler::dropped_count() const { return state_->dropped; }
uint64_t FrameAssembler::duplicate_count() const { return state_->duplicates; }

}  // namespace muster::frames
