#include "daemon/identity/gate.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace muster::identity {
namespace {

constexpr std::chrono::seconds kLook{1};
// Lines about who was turned away: so many at once, then one in each interval.
constexpr double kLinesAtOnce = 10;
constexpr absl::Duration kLineEvery = absl::Seconds(10);

const char* DenialName(Denial reason) {
  switch (reason) {
    case Denial::kUnauthenticated:
      return "unauthenticated";
    case Denial::kNotAllowed:
      return "not_allowed";
    case Denial::kRankTaken:
      return "rank_taken";
  }
  return "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Gate>> Gate::Create(Options options, Clock clock,
                                                   LogFunction log) {
  std::unique_ptr<Gate> gate(
      new Gate(std::move(options), std::move(clock), std::move(log)));
  for (const absl::Status& status :
       {gate->LoadTls(), gate->LoadTokens(),
        gate->SetRules(gate->options_.auth.rules)}) {
    if (!status.ok()) return status;
  }
  return gate;
}

Gate::Gate(Options options, Clock clock, LogFunction log)
    : options_(std::move(options)),
      open_(options_.auth.tokens_file.empty() &&
            options_.tls.client_ca_file.empty() && options_.auth.rules.empty()),
      clock_(std::move(clock)),
      log_(std::move(log)),
      log_budget_(kLinesAtOnce),
      log_budget_at_(clock_.monotonic()) {
  if (open_) return;
  for (const Verb verb : {Verb::kReport, Verb::kQuery, Verb::kMetrics}) {
    for (const Denial reason :
         {Denial::kUnauthenticated, Denial::kNotAllowed}) {
      denied_[{VerbName(verb), DenialName(reason)}] = 0;
    }
  }
  denied_[{VerbName(Verb::kReport), DenialName(Denial::kRankTaken)}] = 0;
}

Gate::~Gate() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (watch_.joinable()) watch_.join();
}

void Gate::Watch() {
  if (!options_.tls.enabled() && options_.auth.tokens_file.empty()) return;
  watch_ = std::thread([this] { WatchUntilStopped(); });
}

void Gate::WatchUntilStopped() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (!stopping_) stopped_.wait_for(mutex_, kLook);
      if (stopping_) return;
    }
    Refresh();
  }
}

void Gate::Refresh() {
  Note(LoadTls(), tls_fault_);
  Note(LoadTokens(), tokens_fault_);
  MutexLock lock(mutex_);
  stale_ = !tls_fault_.seen.empty() || !tokens_fault_.seen.empty();
}

void Gate::Note(const absl::Status& status, Fault& fault) {
  const std::string what(status.message());
  const bool again = what == fault.seen;
  if (!again) fault = {what, false};
  if (what.empty() || !again || fault.told) return;
  fault.told = true;
  log_(true, absl::StrCat(what, "; what was read before stays in force"));
}

absl::Status Gate::LoadTls() {
  if (!options_.tls.enabled()) return absl::OkStatus();
  auto loaded = LoadServerTls(options_.tls, clock_.wall());
  if (!loaded.ok()) return loaded.status();
  const auto before = tls();
  if (before != nullptr && *before == *loaded) return absl::OkStatus();
  const auto expires =
      absl::FormatTime(absl::RFC3339_sec, loaded->expires, absl::UTCTimeZone());
  {
    MutexLock lock(mutex_);
    tls_ = std::make_shared<const ServerTls>(*std::move(loaded));
  }
  if (before != nullptr) {
    log_(false, absl::StrCat("tls: files re-read; the certificate is good "
                             "until ",
                             expires));
  }
  return absl::OkStatus();
}

absl::Status Gate::LoadTokens() {
  const std::string& path = options_.auth.tokens_file;
  if (path.empty()) return absl::OkStatus();
  const auto wrong = [&path](const absl::Status& status) {
    return absl::FailedPreconditionError(absl::StrCat(
        "auth.tokens_file '", path, "': ", std::string(status.message())));
  };
  auto text = ReadWholeFile(path);
  if (!text.ok()) return wrong(text.status());
  if (*text == tokens_text_) return absl::OkStatus();
  auto tokens = Tokens::Parse(*text);
  if (!tokens.ok()) return wrong(tokens.status());
  const bool first = tokens_text_.empty();
  tokens_text_ = *std::move(text);
  {
    MutexLock lock(mutex_);
    tokens_ = std::make_shared<const Tokens>(*std::move(tokens));
    ++generation_;
  }
  if (!first) log_(false, "auth: tokens re-read");
  return absl::OkStatus();
}

absl::Status Gate::SetRules(const std::vector<Rule>& rules) {
  const bool nobody_shows_anything =
      options_.auth.tokens_file.empty() && options_.tls.client_ca_file.empty();
  auto made = Rules::Create(rules, nobody_shows_anything);
  if (!made.ok()) return made.status();
  MutexLock lock(mutex_);
  rules_ = std::make_shared<const Rules>(*std::move(made));
  ++generation_;
  return absl::OkStatus();
}

std::shared_ptr<const ServerTls> Gate::tls() const {
  MutexLock lock(mutex_);
  return tls_;
}

absl::StatusOr<Caller> Gate::Identify(
    const std::vector<std::string>& certificate_names,
    std::string_view authorization) const {
  Caller caller;
  std::shared_ptr<const Tokens> tokens;
  {
    MutexLock lock(mutex_);
    tokens = tokens_;
  }
  if (tokens != nullptr && !authorization.empty()) {
    std::string user;
    caller.token_digest = DigestOf(TokenOf(authorization, &user));
    const std::string name = tokens->NameOf(caller.token_digest);
    if (name.empty() || (!user.empty() && user != name)) {
      return absl::UnauthenticatedError("a token that is not known");
    }
    caller.identities.push_back("token:" + name);
  }
  for (const std::string& name : certificate_names) {
    caller.identities.push_back("certificate:" + name);
  }
  return caller;
}

bool Gate::StillKnown(const Caller& caller) const {
  if (caller.token_digest.empty()) return true;
  std::shared_ptr<const Tokens> tokens;
  {
    MutexLock lock(mutex_);
    tokens = tokens_;
  }
  return "token:" + tokens->NameOf(caller.token_digest) == caller.name();
}

bool Gate::Allows(const Caller& caller, Verb verb, std::string_view run) const {
  std::shared_ptr<const Rules> rules;
  {
    MutexLock lock(mutex_);
    rules = rules_;
  }
  return rules->Allows(caller, verb, run);
}

bool Gate::AllowsAny(const Caller& caller, Verb verb) const {
  std::shared_ptr<const Rules> rules;
  {
    MutexLock lock(mutex_);
    rules = rules_;
  }
  return rules->AllowsAny(caller, verb);
}

void Gate::Deny(Verb verb, Denial reason, const std::string& what) {
  std::string line;
  {
    MutexLock lock(mutex_);
    ++denied_[{VerbName(verb), DenialName(reason)}];
    const absl::Duration now = clock_.monotonic();
    log_budget_ = std::min(
        kLinesAtOnce,
        log_budget_ + absl::FDivDuration(now - log_budget_at_, kLineEvery));
    log_budget_at_ = now;
    if (log_budget_ < 1) {
      ++unlogged_;
      return;
    }
    log_budget_ -= 1;
    line = absl::StrCat("denied: ", VerbName(verb), ", ", DenialName(reason),
                        ": ", what);
    if (unlogged_ > 0) {
      absl::StrAppend(&line, " (and ", unlogged_, " more since the last line)");
    }
    unlogged_ = 0;
  }
  log_(true, line);
}

GateStats Gate::stats() const {
  MutexLock lock(mutex_);
  return {.denied = denied_,
          .certificate_expires =
              tls_ == nullptr ? absl::InfiniteFuture() : tls_->expires,
          .stale = stale_};
}

}  // namespace muster::identity
