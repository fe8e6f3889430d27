#include "daemon/detect/fact_mismatch.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace muster::detect {
namespace {

constexpr char kLearningRate[] = "learning_rate";

// Adds what is known without being stated, unless somebody states it. The map
// keeps `name` by reference.
void AddImplicit(std::string_view name, std::vector<Vote> votes,
                 std::map<std::string_view, std::vector<Vote>>& by_name) {
  if (!votes.empty()) by_name.emplace(name, std::move(votes));
}

// `votes` has the ranks that stated something; puts in the others.
void AddSilent(const frames::Frame& frame, std::vector<Vote>& votes) {
  if (votes.size() == frame.reports.size()) return;
  std::vector<Vote> all;
  auto vote = votes.begin();
  for (const frames::Report& report : frame.reports) {
    if (vote != votes.end() && vote->rank == report.rank) {
      all.push_back(*vote++);
    } else {
      all.push_back({report.rank, nullptr});
    }
  }
  votes = std::move(all);
}

bool Present(const frames::Frame& frame, uint32_t rank) {
  const auto it = std::lower_bound(
      frame.reports.begin(), frame.reports.end(), rank,
      [](const frames::Report& a, uint32_t b) { return a.rank < b; });
  return it != frame.reports.end() && it->rank == rank;
}

Finding MakeFinding(const std::string& subject, Phase phase) {
  Finding finding;
  finding.kind = Kind::kFactMismatch;
  finding.phase = phase;
  finding.subject = subject;
  return finding;
}

}  // namespace

FactMismatch::Source& FactMismatch::SourceOf(uint32_t rank) {
  if (rank >= sources_.size()) sources_.resize(rank + 1);
  return sources_[rank];
}

void FactMismatch::OnFrame(const JudgedFrame& judged,
                           std::vector<Finding>& out) {
  const frames::Frame& frame = judged.frame;
  attempt_ = frame.attempt;
  last_step_ = frame.step;
  if (frame.reports.size() < 2) return;
  if (!SameAsBefore(frame)) CompareFacts(frame);
  if (!learning_rate_stated_) CompareLearningRates(frame);

  std::set<std::string> subjects;
  for (const auto& [subject, now] : disagreements_) subjects.insert(subject);
  for (const auto& [subject, standing] : standing_) subjects.insert(subject);
  for (const std::string& subject : subjects) {
    const auto it = disagreements_.find(subject);
    Settle(frame, subject, it == disagreements_.end() ? nullptr : &it->second,
           out);
  }
}

bool FactMismatch::SameAsBefore(const frames::Frame& frame) const {
  if (sources_changed_ || ranks_.size() != frame.reports.size()) return false;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    if (ranks_[i] != frame.reports[i].rank ||
        facts_[i] != frame.reports[i].facts) {
      return false;
    }
  }
  return true;
}

void FactMismatch::CompareFacts(const frames::Frame& frame) {
  ranks_.clear();
  facts_.clear();
  sources_changed_ = false;
  disagreements_.clear();
  std::map<std::string_view, std::vector<Vote>> by_name;
  std::set<std::string_view> shown_only;
  std::vector<Vote> parameter_counts;
  std::vector<Vote> client_versions;
  for (const frames::Report& report : frame.reports) {
    ranks_.push_back(report.rank);
    facts_.push_back(report.facts);
    SourceOf(report.rank);
  }
  for (const frames::Report& report : frame.reports) {
    const Source& source = sources_[report.rank];
    if (!source.parameter_count.empty()) {
      parameter_counts.push_back({report.rank, &source.parameter_count});
    }
    if (!source.client_version.empty()) {
      client_versions.push_back({report.rank, &source.client_version});
    }
    if (report.facts == nullptr) continue;
    for (const auto& [name, fact] : *report.facts) {
      if (fact.shown_only) shown_only.insert(name);
      by_name[name].push_back({report.rank, &fact.value});
    }
  }
  learning_rate_stated_ = by_name.count(kLearningRate) > 0;
  AddImplicit("parameter_count", std::move(parameter_counts), by_name);
  AddImplicit("client_version", std::move(client_versions), by_name);
  for (auto& [name, votes] : by_name) {
    if (shown_only.count(name) > 0) continue;
    // Silence counts only where most have spoken. Elsewhere the silent are not
    // even listed: names that few ranks state cost no more than those few.
    if (2 * votes.size() > frame.reports.size()) AddSilent(frame, votes);
    std::optional<Disagreement> found = FindDisagreement(name, votes);
    if (found) disagreements_.emplace(name, *std::move(found));
  }
}

void FactMismatch::CompareLearningRates(const frames::Frame& frame) {
  disagreements_.erase(kLearningRate);
  const std::optional<double> first = frame.reports[0].learning_rate;
  const bool all_equal = std::all_of(
      frame.reports.begin(), frame.reports.end(),
      [&](const auto& report) { return report.learning_rate == first; });
  if (all_equal) return;
  std::vector<std::string> texts;
  for (const frames::Report& report : frame.reports) {
    texts.push_back(report.learning_rate
                        ? absl::StrFormat("%.9g", *report.learning_rate)
                        : "");
  }
  std::vector<Vote> votes;
  for (size_t i = 0; i < texts.size(); ++i) {
    votes.push_back({frame.reports[i].rank,
                     frame.reports[i].learning_rate ? &texts[i] : nullptr});
  }
  std::optional<Disagreement> found = FindDisagreement(kLearningRate, votes);
  if (found) disagreements_.emplace(kLearningRate, *std::move(found));
}

void FactMismatch::Settle(const frames::Frame& frame,
                          const std::string& subject, const Disagreement* now,
                          std::vector<Finding>& out) {
  auto it = standing_.find(subject);
  if (it != standing_.end()) {
    const std::vector<uint32_t>& named = it->second.ranks;
    // A named rank that has no report here says neither yes nor no.
    const auto goes_on = [&](uint32_t rank) {
      const bool differs =
          now != nullptr &&
          std::binary_search(now->ranks.begin(), now->ranks.end(), rank);
      return differs || (!Present(frame, rank) && !SourceOf(rank).departed);
    };
    if (now == nullptr) {
      if (std::any_of(named.begin(), named.end(), goes_on)) return;
    } else if (std::includes(named.begin(), named.end(), now->ranks.begin(),
                             now->ranks.end()) &&
               std::all_of(named.begin(), named.end(), goes_on)) {
      AppendRaise(subject, it->second, *now, out);
      return;
    }
    Clear(subject, it->second,
          now == nullptr ? Phase::kClear : Phase::kReplaced, out);
    standing_.erase(it);
  }
  if (now == nullptr) return;
  it = standing_.emplace(subject, Standing{now->ranks, frame.step}).first;
  AppendRaise(subject, it->second, *now, out);
}

void FactMismatch::AppendRaise(const std::string& subject,
                               const Standing& standing,
                               const Disagreement& now,
                               std::vector<Finding>& out) const {
  Finding finding = MakeFinding(subject, Phase::kRaise);
  finding.ranks = standing.ranks;
  finding.attempt = attempt_;
  finding.first_step = standing.first_step;
  finding.last_step = last_step_;
  finding.value = static_cast<double>(now.values);
  finding.expected = 1;
  finding.evidence = now.evidence;
  out.push_back(std::move(finding));
}

void FactMismatch::OnEvent(const frames::Event& event,
                           std::vector<Finding>& out) {
  if (const auto* up = std::get_if<frames::SourceUp>(&event)) {
    Source& source = SourceOf(up->info.rank);
    source.parameter_count = up->info.parameter_count == 0
                                 ? ""
                                 : absl::StrCat(up->info.parameter_count);
    source.client_version = up->info.client_version;
    source.departed = false;
    sources_changed_ = true;
  } else if (const auto* down = std::get_if<frames::SourceDown>(&event)) {
    if (down->reason == frames::DownReason::kDeparted) {
      SourceOf(down->rank).departed = true;
    }
  } else if (const auto* began = std::get_if<frames::AttemptBegan>(&event)) {
    if (!began->world_size_changed) return;
    for (const auto& [subject, standing] : standing_) {
      Clear(subject, standing, Phase::kReplaced, out);
    }
    standing_.clear();
  }
}

void FactMismatch::Clear(const std::string& subject, const Standing& standing,
                         Phase phase, std::vector<Finding>& out) const {
  Finding finding = MakeFinding(subject, phase);
  finding.ranks = standing.ranks;
  finding.attempt = attempt_;
  finding.first_step = standing.first_step;
  finding.last_step = last_step_;
  out.push_back(std::move(finding));
}

}  // namespace muster::detect
