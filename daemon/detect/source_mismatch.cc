#include "daemon/detect/source_mismatch.h"

#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "daemon/detect/fact_vote.h"

namespace muster::detect {
namespace {

constexpr absl::Duration kContestedFor = absl::Minutes(10);
constexpr char kWorldSize[] = "world_size";
constexpr char kSketch[] = "sketch";
constexpr char kIncarnation[] = "incarnation";

std::string Describe(const frames::SketchSpec& spec) {
  return absl::StrFormat("version %d, width %d, seed %d", spec.version,
                         spec.width, spec.seed);
}

}  // namespace

SourceMismatch::SourceMismatch(const DetectOptions& options)
    : world_size_after_(options.world_size_after) {}

SourceMismatch::Source& SourceMismatch::SourceOf(uint32_t rank) {
  if (rank >= sources_.size()) sources_.resize(rank + 1);
  return sources_[rank];
}

void SourceMismatch::OnFrame(const JudgedFrame& judged,
                             std::vector<Finding>& out) {
  attempt_ = judged.frame.attempt;
  last_step_ = judged.frame.step;
  for (auto& [key, standing] : standing_) {
    standing.finding.attempt = attempt_;
    standing.finding.last_step = last_step_;
    out.push_back(standing.finding);
  }
}

void SourceMismatch::OnEvent(const frames::Event& event,
                             std::vector<Finding>& out) {
  const auto forget = [&](Source& source) {
    if (!source.connected) return;
    source.connected = false;
    sources_changed_ = true;
    const auto it = world_sizes_.find(source.world_size);
    if (--it->second == 0) world_sizes_.erase(it);
  };
  if (const auto* up = std::get_if<frames::SourceUp>(&event)) {
    const uint32_t rank = up->info.rank;
    Source& source = SourceOf(rank);
    forget(source);
    source = {true, up->info.incarnation, absl::StrCat(up->info.world_size)};
    ++world_sizes_[source.world_size];
    sources_changed_ = true;
    Clear({kSketch, rank}, out);
    const auto contest = standing_.find({kIncarnation, rank});
    if (contest != standing_.end() &&
        contest->second.superseded_incarnation != up->info.incarnation &&
        contest->second.incarnation != up->info.incarnation) {
      Clear({kIncarnation, rank}, out);
    }
  } else if (const auto* down = std::get_if<frames::SourceDown>(&event)) {
    Source& source = SourceOf(down->rank);
    if (source.incarnation != down->incarnation) return;
    forget(source);
    if (down->reason == frames::DownReason::kDeparted) {
      Clear({kIncarnation, down->rank}, out);
    }
  } else if (const auto* refused = std::get_if<frames::SketchRefused>(&event)) {
    Standing standing;
    standing.finding.evidence = absl::StrFormat(
        "Rank %d sketches with %s, this run with %s: its reports are refused.",
        refused->rank, Describe(refused->stated), Describe(refused->expected));
    standing.since = refused->at;
    Raise({kSketch, refused->rank}, std::move(standing), out);
  } else if (const auto* contested =
                 std::get_if<frames::RankContested>(&event)) {
    Standing standing;
    standing.finding.evidence = absl::StrFormat(
        "Two live processes claim rank %d: incarnation %016x, which counts, "
        "and %016x, which was replaced or refused and still sends.",
        contested->rank, contested->incarnation,
        contested->superseded_incarnation);
    standing.since = contested->at;
    standing.incarnation = contested->incarnation;
    standing.superseded_incarnation = contested->superseded_incarnation;
    Raise({kIncarnation, contested->rank}, std::move(standing), out);
  } else if (const auto* began = std::get_if<frames::AttemptBegan>(&event)) {
    std::vector<Key> gone;
    for (const auto& [key, standing] : standing_) {
      if (key.second >= began->world_size) gone.push_back(key);
    }
    for (const Key& key : gone) Clear(key, out);
  } else if (std::holds_alternative<frames::RunEnded>(event)) {
    while (!standing_.empty()) Clear(Key(standing_.begin()->first), out);
  } else if (const auto* tick = std::get_if<frames::Tick>(&event)) {
    OnTick(tick->now, out);
  }
}

void SourceMismatch::OnTick(frames::Instant now, std::vector<Finding>& out) {
  std::vector<Key> quiet;
  for (const auto& [key, standing] : standing_) {
    if (key.first == kIncarnation && now - standing.since >= kContestedFor) {
      quiet.push_back(key);
    }
  }
  for (const Key& key : quiet) Clear(key, out);

  const bool disagreeing = world_sizes_.size() > 1;
  if (disagreeing && !disagreeing_) disagreeing_since_ = now;
  disagreeing_ = disagreeing;
  const Key key(kWorldSize, 0);
  if (!disagreeing) {
    Clear(key, out);
  } else if (now - disagreeing_since_ >= world_size_after_ &&
             (sources_changed_ || standing_.count(key) == 0)) {
    CompareWorldSizes(now, out);
  }
}

void SourceMismatch::CompareWorldSizes(frames::Instant now,
                                       std::vector<Finding>& out) {
  sources_changed_ = false;
  std::vector<Vote> votes;
  for (uint32_t rank = 0; rank < sources_.size(); ++rank) {
    if (sources_[rank].connected) {
      votes.push_back({rank, &sources_[rank].world_size});
    }
  }
  const std::optional<Disagreement> found = FindDisagreement(kWorldSize, votes);
  const Key key(kWorldSize, 0);
  const auto it = standing_.find(key);
  if (it != standing_.end() && it->second.finding.ranks != found->ranks) {
    Clear(key, out);
  }
  Standing standing;
  standing.finding.ranks = found->ranks;
  standing.finding.value = static_cast<double>(found->values);
  standing.finding.evidence = found->evidence;
  standing.since = now;
  Raise(key, std::move(standing), out);
}

void SourceMismatch::Raise(const Key& key, Standing standing,
                           std::vector<Finding>& out) {
  Finding& finding = standing.finding;
  finding.kind = Kind::kFactMismatch;
  finding.phase = Phase::kRaise;
  finding.subject = key.first;
  if (finding.ranks.empty()) finding.ranks = {key.second};
  finding.attempt = attempt_;
  finding.last_step = last_step_;
  if (finding.value == 0) finding.value = 2;  // two specifications, processes
  finding.expected = 1;
  const auto it = standing_.find(key);
  finding.first_step =
      it == standing_.end() ? last_step_ : it->second.finding.first_step;
  out.push_back(finding);
  standing_.insert_or_assign(key, std::move(standing));
}

void SourceMismatch::Clear(const Key& key, std::vector<Finding>& out) {
  const auto it = standing_.find(key);
  if (it == standing_.end()) return;
  Finding finding = std::move(it->second.finding);
  standing_.erase(it);
  finding.phase = Phase::kClear;
  finding.attempt = attempt_;
  finding.last_step = last_step_;
  finding.evidence.clear();
  out.push_back(std::move(finding));
}

}  // namespace muster::detect
