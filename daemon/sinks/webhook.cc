#include "daemon/sinks/webhook.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/alert/json.h"
#include "daemon/sinks/signature.h"
#include "daemon/sinks/url.h"

namespace muster::sinks {
namespace {

using alert::Alert;
using alert::JsonText;
using alert::State;

constexpr size_t kTextBytes = 4096;

std::string JsonTime(absl::Time time) {
  if (time == absl::InfinitePast()) return "null";
  return absl::FormatTime("\"%Y-%m-%dT%H:%M:%E3SZ\"", time,
                          absl::UTCTimeZone());
}

// Null where there is no link.
std::string JsonLink(const std::string& link) {
  return link.empty() ? "null" : JsonText(link, kTextBytes);
}

// Names the change: no other one of this run, nor of an earlier or later run of
// that name, has the same.
std::string IdOf(const std::string& run, const Alert& alert) {
  return absl::StrCat(run, ":", alert.id, ":", alert::StateName(alert.state),
                      ":", absl::ToUnixNanos(alert.changed));
}

std::string BodyOf(const SinkOptions& options, const std::string& id,
                   const std::string& run, const Alert& alert) {
  std::string body = alert::LogLine(run, alert);
  body.pop_back();  // the object goes on
  absl::StrAppend(
      &body, ",\"version\":1,\"delivery\":", JsonText(id),
      ",\"changed\":", JsonTime(alert.changed),
      ",\"fired\":", JsonTime(alert.fired), ",\"checks\":",
      JsonText(detect::InfoOf(alert.finding.kind).first_check, kTextBytes),
      ",\"page\":", JsonLink(PageLink(options, run, alert)),
      ",\"dashboard\":", JsonLink(DashboardLink(options, run)), "}");
  return body;
}

}  // namespace

WebhookOutbox::WebhookOutbox(const SinkOptions& options,
                             const WebhookOptions& webhook,
                             std::unique_ptr<Journal> journal, Tell tell)
    : options_(options),
      webhook_(webhook),
      tell_(std::move(tell)),
      journal_(std::move(journal)) {
  if (!journal_) return;
  MutexLock lock(mutex_);
  changes_ = journal_->Load();
  while (changes_.size() > webhook_.queue_size) changes_.pop_front();
  if (!changes_.empty()) numbers_ = changes_.back().number;
  kept_ = numbers_;
}

void WebhookOutbox::Take(const std::string& run, const Alert& alert,
                         Moment now) {
  const bool told =
      alert.state == State::kFiring ||
      (alert.state == State::kResolved && alert.fired != absl::InfinitePast());
  if (!told && !webhook_.all_states) return;
  std::string id = IdOf(run, alert);
  std::string body = BodyOf(options_, id, run, alert);
  MutexLock lock(mutex_);
  if (changes_.size() >= webhook_.queue_size) {
    changes_.pop_front();
    ++dropped_;
  }
  changes_.push_back({++numbers_, std::move(id), std::move(body)});
}

absl::Duration WebhookOutbox::Due() const {
  MutexLock lock(mutex_);
  return changes_.empty() ? absl::InfiniteDuration() : absl::ZeroDuration();
}

void WebhookOutbox::Keep() {
  if (!journal_) return;
  std::vector<QueuedChange> added;
  {
    MutexLock lock(mutex_);
    for (const QueuedChange& change : changes_) {
      if (change.number > kept_) added.push_back(change);
    }
  }
  for (const QueuedChange& change : added) {
    const absl::Status status = journal_->Add(change);
    TellOnce(status);
    if (!status.ok()) return;
    kept_ = change.number;
  }
  // Also while nothing is taken: what was dropped is in it still.
  if (!journal_->is_long()) return;
  std::deque<QueuedChange> waiting;
  {
    MutexLock lock(mutex_);
    waiting = changes_;
  }
  while (!waiting.empty() && waiting.back().number > kept_) waiting.pop_back();
  TellOnce(journal_->Rewrite(waiting));
}

void WebhookOutbox::TellOnce(const absl::Status& status) {
  if (status.ok() || std::exchange(told_, true) || !tell_) return;
  tell_(true, absl::StrCat("webhook '", webhook_.name,
                           "': what waits would not outlive the daemon: ",
                           std::string(status.message())));
}

absl::StatusOr<std::optional<Delivery>> WebhookOutbox::Make(Moment now) {
  Delivery delivery;
  {
    MutexLock lock(mutex_);
    if (changes_.empty()) return std::nullopt;
    const QueuedChange& change = changes_.front();
    if (std::exchange(made_, change.number) != change.number) refusals_ = 0;
    delivery.body = change.body;
    delivery.headers = {{"Content-Type", "application/json"},
                        {"Idempotency-Key", change.id}};
  }
  if (webhook_.secret.is_set()) {
    const auto secret = ReadSecret(webhook_.secret);
    if (!secret.ok()) return secret.status();
    delivery.headers.emplace_back("Muster-Signature",
                                  Sign(*secret, delivery.body, now.wall));
  }
  return delivery;
}

bool WebhookOutbox::Done(Outcome outcome, Moment now) {
  refusals_ = outcome == Outcome::kRefused ? refusals_ + 1 : 0;
  const bool given_up = refusals_ == kRefusals;
  if (outcome != Outcome::kTaken && !given_up) return false;
  Keep();
  bool none_waits = true;
  {
    MutexLock lock(mutex_);
    // It may have been dropped meanwhile.
    if (!changes_.empty() && changes_.front().number == made_) {
      changes_.pop_front();
      if (given_up) ++dropped_;
    }
    // What has come since Keep() is none of the journal's yet.
    none_waits = changes_.empty() || changes_.front().number > kept_;
  }
  if (journal_) TellOnce(journal_->Taken(made_, none_waits));
  return given_up;
}

OutboxCounts WebhookOutbox::counts() const {
  MutexLock lock(mutex_);
  return {
      .held = changes_.size(), .untold = changes_.size(), .dropped = dropped_};
}

}  // namespace muster::sinks
