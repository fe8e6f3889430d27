#include "daemon/sinks/alertmanager.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/alert/json.h"
#include "daemon/detect/text.h"
#include "daemon/sinks/url.h"

namespace muster::sinks {
namespace {

using alert::Alert;
using alert::JsonText;
using alert::State;

constexpr size_t kRanksInLabel = 16;
constexpr size_t kRanksInCutLabel = 8;
constexpr size_t kSentences = 4;
constexpr size_t kSentenceBytes = 4096;

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

// Sentences of all evidence that stands, one a line.
std::string Sentences(const Alert& alert) {
  std::vector<std::string> lines;
  for (const alert::Evidence& piece : alert.evidence) {
    if (piece.standing && lines.size() < kSentences) {
      lines.push_back(detect::Shorten(piece.sentence, kSentenceBytes / 4));
    }
  }
  return absl::StrJoin(lines, "\n");
}

std::string Summary(const std::string& run, const Alert& alert) {
  const char* kind = detect::KindName(alert.finding.kind);
  if (alert.finding.ranks.empty()) return absl::StrCat(kind, ": run ", run);
  return absl::StrCat(kind, ": ", detect::RankList(alert.finding.ranks),
                      " of run ", run);
}

// A JSON object of texts; those that are empty are left out.
std::string ToObject(
    const std::vector<std::pair<const char*, std::string>>& members) {
  std::string out;
  for (const auto& [name, value] : members) {
    if (value.empty()) continue;
    absl::StrAppend(&out, out.empty() ? "" : ",", "\"", name,
                    "\":", JsonText(value, kSentenceBytes));
  }
  return absl::StrCat("{", out, "}");
}

}  // namespace

std::string RanksLabel(const std::vector<uint32_t>& ranks) {
  if (ranks.size() <= kRanksInLabel) return absl::StrJoin(ranks, ",");
  // FNV-1a.
  uint64_t digest = 0xcbf29ce484222325;
  for (const uint32_t rank : ranks) {
    for (int shift = 0; shift < 32; shift += 8) {
      digest = (digest ^ ((rank >> shift) & 0xFF)) * 0x100000001b3;
    }
  }
  return absl::StrCat(
      absl::StrJoin(ranks.begin(), ranks.begin() + kRanksInCutLabel, ","),
      " and ", ranks.size() - kRanksInCutLabel, " more (",
      absl::Hex(digest, absl::kZeroPad16), ")");
}

AlertmanagerOutbox::AlertmanagerOutbox(const SinkOptions& options,
                                       absl::Duration resend_interval,
                                       AlertLookup lookup)
    : options_(options),
      resend_interval_(resend_interval),
      lookup_(std::move(lookup)) {}

void AlertmanagerOutbox::Take(const std::string& run, const Alert& alert,
                              Moment now) {
  const bool firing = alert.state == State::kFiring;
  const bool over =
      alert.state == State::kResolved && alert.fired != absl::InfinitePast();
  if (!firing && !over) return;
  const Key key(run, absl::StrCat(detect::KindName(alert.finding.kind), " ",
                                  RanksLabel(alert.finding.ranks)));
  MutexLock lock(mutex_);
  auto it = held_.find(key);
  if (it == held_.end()) {
    if (held_.size() >= kMaxAlerts && !MakeRoom()) {
      ++dropped_;
      return;
    }
    it = held_.emplace(key, Held{}).first;
  } else if (over && it->second.alert.id != alert.id) {
    return;  // what came after it has taken its place
  }
  Held& held = it->second;
  held.alert = alert;
  held.run = run;
  held.resolved = false;
  held.due = now.monotonic;
  held.told = false;
  held.version = ++versions_;
  if (over) Resolve(held, alert.changed, now);
}

void AlertmanagerOutbox::Resume(const std::string& run, const Alert& alert,
                                Moment now) {
  if (alert.state == State::kResolved &&
      now.wall - alert.changed > kTellResolved) {
    return;
  }
  Take(run, alert, now);
}

void AlertmanagerOutbox::Resolve(Held& held, absl::Time ended, Moment now) {
  held.resolved = true;
  held.ended = ended;
  held.forget = now.monotonic + kTellResolved;
  held.due = now.monotonic;
  held.told = false;
  held.version = ++versions_;
}

bool AlertmanagerOutbox::MakeRoom() {
  auto oldest = held_.end();
  for (auto it = held_.begin(); it != held_.end(); ++it) {
    if (!it->second.resolved) continue;
    if (oldest == held_.end() || it->second.forget < oldest->second.forget) {
      oldest = it;
    }
  }
  if (oldest == held_.end()) return false;
  if (!oldest->second.told) ++dropped_;
  held_.erase(oldest);
  return true;
}

absl::Duration AlertmanagerOutbox::Due() const {
  MutexLock lock(mutex_);
  absl::Duration due = absl::InfiniteDuration();
  for (const auto& [key, held] : held_) due = std::min(due, held.due);
  return due;
}

void AlertmanagerOutbox::Refresh(Moment now) {
  struct Asked {
    Key key;
    uint64_t version;
    uint64_t id;
    std::optional<Alert> answer;
  };
  std::vector<Asked> asked;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, held] : held_) {
      if (held.resolved || !held.told || held.due > now.monotonic) continue;
      asked.push_back({key, held.version, held.alert.id, std::nullopt});
      if (asked.size() == kAlertsInPost) break;
    }
  }
  for (Asked& each : asked) each.answer = lookup_(each.key.first, each.id);
  MutexLock lock(mutex_);
  for (Asked& each : asked) {
    const auto it = held_.find(each.key);
    if (it == held_.end() || it->second.version != each.version) continue;
    if (each.answer && each.answer->state == State::kFiring) {
      it->second.alert = *std::move(each.answer);
    } else {
      Resolve(it->second, now.wall, now);
    }
  }
}

absl::StatusOr<std::optional<Delivery>> AlertmanagerOutbox::Make(Moment now) {
  Refresh(now);
  batch_.clear();
  std::string body;
  MutexLock lock(mutex_);
  for (auto it = held_.begin();
       it != held_.end() && batch_.size() < kAlertsInPost;) {
    const Held& held = it->second;
    if (held.resolved && held.forget <= now.monotonic) {
      if (!held.told) ++dropped_;
      it = held_.erase(it);
      continue;
    }
    if (held.due <= now.monotonic) {
      absl::StrAppend(&body, batch_.empty() ? "" : ",", ToJson(held, now));
      batch_.emplace_back(it->first, held.version);
    }
    ++it;
  }
  if (batch_.empty()) return std::nullopt;
  return Delivery{absl::StrCat("[", body, "]"),
                  {{"Content-Type", "application/json"}}};
}

std::optional<Delivery> AlertmanagerOutbox::Probe() const {
  return Delivery{"[]", {{"Content-Type", "application/json"}}};
}

bool AlertmanagerOutbox::Done(Outcome outcome, Moment now) {
  if (outcome == Outcome::kFailed) return false;  // still due
  MutexLock lock(mutex_);
  for (const auto& [key, version] : batch_) {
    const auto it = held_.find(key);
    // What has changed meanwhile is news.
    if (it == held_.end() || it->second.version != version) continue;
    Held& held = it->second;
    held.told = true;
    held.due = now.monotonic + resend_interval_;
    // Its last word is said when it is forgotten.
    if (held.resolved) held.due = std::min(held.due, held.forget);
  }
  return false;
}

OutboxCounts AlertmanagerOutbox::counts() const {
  MutexLock lock(mutex_);
  const auto untold =
      std::count_if(held_.begin(), held_.end(),
                    [](const auto& held) { return !held.second.told; });
  return {.held = held_.size(),
          .untold = static_cast<uint64_t>(untold),
          .dropped = dropped_};
}

std::string AlertmanagerOutbox::ToJson(const Held& held, Moment now) const {
  const Alert& alert = held.alert;
  const detect::Finding& finding = alert.finding;
  // An end before the start is refused; a wall clock may have gone back.
  const absl::Time starts = std::min(alert.fired, now.wall);
  const absl::Time ends = held.resolved
                              ? std::max(starts, std::min(held.ended, now.wall))
                              : now.wall + kIntervalsAlive * resend_interval_;
  const std::string labels =
      ToObject({{"alertname", detect::KindName(finding.kind)},
                {"run", held.run},
                {"severity", detect::SeverityName(alert.severity)},
                {"ranks", RanksLabel(finding.ranks)}});
  const std::string annotations = ToObject(
      {{"summary", Summary(held.run, alert)},
       {"description", finding.evidence},
       {"evidence", Sentences(alert)},
       {"checks", detect::InfoOf(finding.kind).first_check},
       {"steps", absl::StrCat(finding.first_step, " to ", finding.last_step)},
       {"silent", alert.silent ? "true" : "false"},
       {"id", absl::StrCat(alert.id)},
       {"dashboard", DashboardLink(options_, held.run)}});
  const std::string link = PageLink(options_, held.run, alert);
  return absl::StrCat(
      "{\"labels\":", labels, ",\"annotations\":", annotations,
      ",\"startsAt\":\"", Rfc3339(starts), "\",\"endsAt\":\"", Rfc3339(ends),
      "\"",
      link.empty()
          ? ""
          : absl::StrCat(",\"generatorURL\":", JsonText(link, kSentenceBytes)),
      "}");
}

}  // namespace muster::sinks
